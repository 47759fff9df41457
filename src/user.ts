/**
 * Who the invoking user is: the one who typed `sudo`, or the one we are. Read
 * from /etc/passwd, so that a user who is known only to LDAP or sssd is named
 * by `getent`.
 */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { AgentsightError } from './errors.ts';

export interface User {
  readonly name: string;
  readonly uid: number;
  readonly gid: number;
  readonly home: string;
}

/** The user of `--user`, else of SUDO_UID, else of this process. */
export function invokingUser(requested?: string): User {
  if (requested !== undefined) return findUser(requested);
  const own = process.getuid?.() ?? 0;
  const sudoUid = own === 0 ? process.env['SUDO_UID'] : undefined;
  return findUser(sudoUid ?? String(own));
}

/** By name or numeric id. Throws USER_UNKNOWN. */
export function findUser(nameOrUid: string): User {
  const user = parsePasswd(readFileSync('/etc/passwd', 'utf8'), nameOrUid) ?? askGetent(nameOrUid);
  if (user !== undefined) return user;
  throw new AgentsightError('USER_UNKNOWN', `could not find user ${nameOrUid}: not in the user database`, {
    hint: 'give a login name or a numeric user id that `getent passwd` knows',
  });
}

function parsePasswd(text: string, nameOrUid: string): User | undefined {
  for (const line of text.split('\n')) {
    const [name, , uid, gid, , home] = line.split(':');
    if (name === undefined || uid === undefined || gid === undefined || home === undefined) continue;
    if (name === nameOrUid || uid === nameOrUid) return { name, uid: Number(uid), gid: Number(gid), home };
  }
  return undefined;
}

function askGetent(nameOrUid: string): User | undefined {
  try {
    return parsePasswd(execFileSync('getent', ['passwd', '--', nameOrUid], { encoding: 'utf8' }), nameOrUid);
  } catch {
    // getent exits 2 for an unknown user and may be absent: both mean that nobody else knows.
    return undefined;
  }
}
