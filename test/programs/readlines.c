// SPDX-License-Identifier: MIT
// `readlines COUNT`, to be called bash: waits for a byte on its standard input, then has a function readline() return COUNT lines.
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

__attribute__((noipa)) char *readline(const char *prompt)
{
	static long number;
	static char line[64];

	(void)prompt;
	snprintf(line, sizeof(line), "echo %ld", number++);
	return line;
}

int main(int argc, char **argv)
{
	long count = argc == 2 ? atol(argv[1]) : 0;
	char go;

	if (count <= 0 || read(0, &go, 1) != 1)
		return 2;
	while (count-- > 0)
		if (!readline("$ "))
			return 1;
	return 0;
}
