/** What a running command says to its user: on stderr, one line each. */

export interface Words {
  /** Always shown: a problem, or where to look. */
  say(text: string): void;
  /** Left out with --quiet. */
  tell(text: string): void;
}

export function createWords(quiet: boolean): Words {
  const say = (text: string): void => void process.stderr.write(`agentsight-ts: ${text}\n`);
  return { say, tell: quiet ? () => undefined : say };
}
