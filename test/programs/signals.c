// SPDX-License-Identifier: MIT
// `signals COUNT`: waits for a byte on its standard input, then sends itself as many signals that it ignores.
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	long count = argc == 2 ? atol(argv[1]) : 0;
	char go;

	signal(SIGUSR1, SIG_IGN);
	if (count <= 0 || read(0, &go, 1) != 1)
		return 2;
	while (count-- > 0)
		if (kill(getpid(), SIGUSR1) != 0)
			return 1;
	return 0;
}
