// SPDX-License-Identifier: MIT
// `shuffle COUNT`: has a function with the parameters of SSL_write that has nothing to do with TLS, and calls it COUNT times, each time
// for another object. The name has to be there, so that a test finds its place before it strips it.
#include <stdlib.h>

// As much code as a TLS library has at least: smaller programs are not searched.
__asm__(".text\n\t.skip 262144, 0xcc");

__attribute__((noipa)) int shuffle(void *object, char *bytes, int count)
{
	char first = bytes[0];

	(void)object;
	for (int at = 1; at < count; at++)
		bytes[at - 1] = bytes[at];
	bytes[count - 1] = first;
	return count;
}

int main(int argc, char **argv)
{
	static char objects[64];
	char bytes[] = {1, 2, 3, 5, 8, 13, 21, 34, 55, 89};
	int count = argc == 2 ? atoi(argv[1]) : 0;

	if (count <= 0 || count > (int)sizeof(objects))
		return 2;
	while (count-- > 0)
		if (shuffle(&objects[count], bytes, sizeof(bytes)) != sizeof(bytes))
			return 1;
	return 0;
}
