/*
 * Forks COUNT children that end at once, one after another, when one byte has
 * come on standard input.
 *
 *   forks COUNT
 */
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	long count = argc > 1 ? atol(argv[1]) : 0;
	char go;

	if (read(0, &go, 1) != 1)
		return 3;
	for (long n = 0; n < count; n++) {
		pid_t child = fork();

		if (child < 0)
			return 4;
		if (child == 0)
			_exit(0);
		if (waitpid(child, NULL, 0) != child)
			return 5;
	}
	return 0;
}
