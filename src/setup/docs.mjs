// @ts-check
/**
 * `npm run docs`: writes what the built command prints as help into
 * src/cli/README.md, between the two marks. A test fails while they differ.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT } from './shell.mjs';

const PAGE = join(ROOT, 'src/cli/README.md');
const BEGIN = '<!-- help: begin -->';
const END = '<!-- help: end -->';

const { helpTexts } = /** @type {{ helpTexts: () => ReadonlyMap<string, string> }} */ (
  await import(join(ROOT, 'dist/test/command-line.js'))
);

const blocks = Array.from(helpTexts(), ([name, help]) => `### \`${name}\`\n\n\`\`\`\n${help}\`\`\`\n`).join('\n');
const page = readFileSync(PAGE, 'utf8');
const begin = page.indexOf(BEGIN);
const end = page.indexOf(END);
if (begin === -1 || end < begin) throw new Error(`${PAGE} has lost its marks ${BEGIN} and ${END}`);
writeFileSync(PAGE, `${page.slice(0, begin + BEGIN.length)}\n\n${blocks}\n${page.slice(end)}`);
