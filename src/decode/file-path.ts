/**
 * A path that a program gave to a system call, made absolute.
 *
 * Exact or left alone: `..` goes up only where the kernel has resolved what it
 * goes up from (the base). After a name of the program's own it stays, because
 * that name may be a link, and the folder above a link's target is another.
 */

/** `base` is absolute, or empty where none could be read: then the path stays as it was given. */
export function absolutePath(base: string, path: string): string {
  const isAbsolute = path.startsWith('/');
  if (!isAbsolute && base === '') return path;
  const parts = isAbsolute ? [] : base.split('/').filter((part) => part !== '');
  let resolved = parts.length;
  for (const part of path.split('/')) {
    if (part === '' || part === '.') continue;
    if (part === '..' && resolved === parts.length) {
      // The root is above itself.
      parts.pop();
      resolved = parts.length;
    } else parts.push(part);
  }
  return `/${parts.join('/')}`;
}
