/** House rules that a program can check. */
import { accessSync, constants, existsSync, readFileSync } from 'node:fs';
import { builtinModules } from 'node:module';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { helpTexts } from '../src/cli/command-line.ts';
import { CONFIG_ENV } from '../src/config.ts';
import { SETTINGS, SETTING_NAMES } from '../src/settings.ts';
import { AgentsightError, ERROR_CODES } from '../src/errors.ts';
import { LIMITS } from '../src/limits.ts';
import { ROOT } from './helpers/files.ts';
import { foldersOf, importsOf, readSources, withoutComments } from './helpers/sources.ts';
import type { Import, SourceFile } from './helpers/sources.ts';

const sources = readSources();
const code = sources.filter(({ path }) => /\.(ts|mjs|svelte)$/.test(path));
const imports = code.flatMap(importsOf);

function text(path: string): string {
  return readFileSync(join(ROOT, path), 'utf8');
}

/** `path: what` of every line that matches. */
function found(files: readonly SourceFile[], pattern: RegExp): readonly string[] {
  return files.flatMap(({ path, text: content }) =>
    content.split('\n').flatMap((line, index) => (pattern.test(line) ? [`${path}:${index + 1}: ${line.trim()}`] : [])));
}

function shown(list: readonly Import[]): readonly string[] {
  return list.map(({ from, target }) => `${from} imports ${target}`);
}

describe('imports', () => {
  it('are found at all', () => {
    expect(imports.length).toBeGreaterThan(200);
    expect(importsOf({ path: 'src/a/b.ts', text: "import type { X } from '../c.ts';\nawait import('./d.ts');" })).toEqual([
      { from: 'src/a/b.ts', target: 'src/c.ts', relative: true, typeOnly: true },
      { from: 'src/a/b.ts', target: 'src/a/d.ts', relative: true, typeOnly: false },
    ]);
  });

  it('of analyzers are rxjs, node:buffer, the decoders of codings and the shared words', () => {
    const libraries = /^(node:module|pako|fzstd|brotli-wasm)$/;
    const allowed = /^(rxjs|node:buffer|analyzers\/.*|src\/(event|time|errors|limits|spoken|stats)\.ts)$/;
    expect(shown(imports.filter(({ from, target }) => from.startsWith('analyzers/') && !allowed.test(target) && !(from === 'analyzers/coding/libraries.ts' && libraries.test(target))))).toEqual([]);
  });

  it('of the page from src/ are types only', () => {
    expect(shown(imports.filter(({ from, target, typeOnly }) => from.startsWith('ui/') && target.startsWith('src/') && !typeOnly))).toEqual([]);
  });

  it('follow the data: a folder of src/ imports only those before it', () => {
    const order = ['decode', 'runners', 'sinks', 'link', 'hub', 'doctor', 'cli'];
    const folders = foldersOf('src').map((path) => path.slice('src/'.length)).filter((name) => name !== 'setup');
    expect(folders.filter((name) => !order.includes(name)), 'name their place in the order').toEqual([]);
    const rank = (path: string): number => {
      const [, folder, file] = path.split('/');
      if (path === 'src/pipeline.ts') return order.indexOf('cli');
      return file === undefined ? -1 : order.indexOf(folder ?? '');
    };
    const backwards = imports.filter(({ from, target, typeOnly }) =>
      from.startsWith('src/') && !from.startsWith('src/setup/') && target.startsWith('src/') && !typeOnly && rank(target) > rank(from));
    expect(shown(backwards)).toEqual([]);
  });

  it('bring runners, analyzers and sinks together in the pipeline and the command line alone', () => {
    const stages = [/^src\/runners\//, /^analyzers\//, /^src\/sinks\//];
    const mixed = code.filter((file) => file.path.startsWith('src/') && !/^src\/(pipeline\.ts|cli\/)/.test(file.path)).filter((file) => {
      const seen = [file.path, ...importsOf(file).filter(({ typeOnly }) => !typeOnly).map(({ target }) => target)];
      return stages.filter((stage) => seen.some((path) => stage.test(path))).length > 1;
    });
    expect(mixed.map(({ path }) => path)).toEqual([]);
  });

  it('load the native addon in one file', () => {
    const loading = code.filter(({ path, text: content }) =>
      /^(src\/(?!setup\/)|analyzers\/|bin\/)/.test(path) && /\.node['"`]|dlopen\(/.test(withoutComments(content)));
    expect(loading.map(({ path }) => path)).toEqual(['src/addon.ts']);
  });

  it('name packages that package.json has, and none for development in the product', () => {
    const { dependencies, optionalDependencies, devDependencies } = JSON.parse(text('package.json')) as Record<string, Record<string, string>>;
    const product = new Set(Object.keys({ ...dependencies, ...optionalDependencies }));
    const all = new Set([...product, ...Object.keys(devDependencies ?? {})]);
    const wrong = imports.filter(({ from, target, relative, typeOnly }) => {
      if (relative || target.startsWith('node:') || target.startsWith('virtual:')) return false;
      const name = target.split('/').slice(0, target.startsWith('@') ? 2 : 1).join('/');
      return !(/^(src|analyzers)\//.test(from) && !typeOnly ? product : all).has(name);
    });
    expect(shown(wrong)).toEqual([]);
  });

  it('name built-in modules with node:', () => {
    expect(shown(imports.filter(({ target, relative }) => !relative && builtinModules.includes(target)))).toEqual([]);
  });
});

describe('what the documents say', () => {
  it('lists every error code with its exit code', () => {
    const rows = [...text('src/README.md').matchAll(/^\| `([A-Z_]+)` \| (\d+) \| \S/gm)].map(([, name, exit]) => `${name} ${exit}`);
    const registry = ERROR_CODES.map((name) => `${name} ${new AgentsightError(name, '').exitCode}`);
    expect(rows.toSorted()).toEqual(registry.toSorted());
  });

  it('lists every setting with its variable', () => {
    const rows = [...text('src/README.md').matchAll(/^\| `(\w+)` \| `(AGENTSIGHT_\w+)` \|/gm)].map(([, name, env]) => `${name} ${env}`);
    expect(rows).toEqual(SETTING_NAMES.map((name) => `${name} ${SETTINGS[name].env}`));
    expect(text('src/README.md')).toContain(CONFIG_ENV);
  });

  it('shows the help as the command prints it (npm run docs writes it)', () => {
    const blocks = [...text('src/cli/README.md').matchAll(/^### `([^`]+)`\n\n```\n([\s\S]*?)```$/gm)];
    expect(new Map(blocks.map(([, name, help]) => [name, help]))).toEqual(new Map(helpTexts()));
  });

  it('has one for every folder', () => {
    const folders = ['bpf', 'native', 'src', 'analyzers', 'ui', 'test', ...foldersOf('src'), 'test/programs', 'test/bench', 'test/cases'];
    expect(folders.filter((folder) => !existsSync(join(ROOT, folder, 'README.md')))).toEqual([]);
  });

  it('names files that are there', () => {
    const broken = sources.filter(({ path }) => path.endsWith('README.md')).flatMap(({ path, text: content }) =>
      [...content.matchAll(/\]\((?!https?:|#|mailto:)([^)#\s]+)/g)]
        .filter(([, target]) => !existsSync(join(ROOT, path, '..', target ?? '')))
        .map(([, target]) => `${path} points to ${target}`));
    expect(broken).toEqual([]);
  });
});

describe('no file', () => {
  it('is longer than can be read in one go', () => {
    // A BPF program says more to the verifier than to a reader.
    const limitOf = (path: string): number => (path.startsWith('bpf/') ? 500 : 400);
    const long = sources.filter(({ path }) => /\.(ts|mjs|svelte|css|c|h|cc)$/.test(path))
      .map(({ path, text: content }) => ({ path, lines: content.split('\n').length - 1 }))
      .filter(({ path, lines }) => lines > limitOf(path));
    expect(long).toEqual([]);
  });

  it('holds leftovers', () => {
    const own = code.filter(({ path }) => path !== 'test/tidy.test.ts');
    const tests = own.filter(({ path }) => path.startsWith('test/'));
    expect(found(own, /^\s*debugger\b/)).toEqual([]);
    expect(found(own, /\b(TODO|FIXME|XXX)\b(?!\(#\d+\))/)).toEqual([]);
    expect(found(tests, /\b(it|test|describe)(\.\w+)*\.only\b/)).toEqual([]);
    expect(found(own, /@ts-(ignore|nocheck)|@ts-expect-error\s*$/)).toEqual([]);
  });

  it('skips a test but through the helpers that name the reason', () => {
    const tests = code.filter(({ path }) => path.startsWith('test/') && !path.startsWith('test/helpers/') && path !== 'test/tidy.test.ts');
    expect(found(tests, /\b(it|test|describe)(\.\w+)*\.(skip|skipIf|runIf|todo|fails)\b|\bcontext\.skip\(/)).toEqual([]);
  });

  it('prints from the product but where printing is its work', () => {
    const quiet = code.filter(({ path }) => /^(src|analyzers)\//.test(path) && !/^src\/(cli|setup)\/|^src\/sinks\/console\.ts$/.test(path));
    expect(found(quiet.map((file) => ({ ...file, text: withoutComments(file.text) })), /\bconsole\.\w+\(/)).toEqual([]);
  });

  it('uses any', () => {
    const typed = code.filter(({ path }) => /^(src|analyzers|ui|test)\/.*\.(ts|svelte)$/.test(path) && path !== 'test/tidy.test.ts');
    expect(found(typed.map((file) => ({ ...file, text: withoutComments(file.text) })), /(:|<|\bas) any\b(?! (of|other|more|process))/)).toEqual([]);
  });

  it('names the machine that it was written on', () => {
    const { npm_config_registry: registry } = process.env;
    const words = [ROOT, ...(registry !== undefined && URL.canParse(registry) ? [new URL(registry).host] : [])];
    expect(sources.filter(({ text: content }) => words.some((word) => content.includes(word))).map(({ path }) => path)).toEqual([]);
    const product = sources.filter(({ path }) => /^(src|analyzers|native|bpf|bin|ui)\//.test(path));
    expect(found(product, /(^|[\s'"`(=])\/(home|Users)\/[a-z]/)).toEqual([]);
    expect(found(sources.filter(({ path }) => path === 'package-lock.json'), /"resolved": "http/)).toEqual([]);
  });
});

describe('package.json', () => {
  const { scripts, bin } = JSON.parse(text('package.json')) as { scripts: Record<string, string>; bin: Record<string, string> };

  it('has the commands that people are told to run', () => {
    expect(Object.keys(scripts)).toEqual(expect.arrayContaining(['start', 'setup', 'test', 'build', 'build:bpf', 'build:native', 'build:ts', 'build:ui', 'bench', 'docs']));
    const told = sources.filter(({ path }) => path.endsWith('.md')).flatMap(({ path, text: content }) =>
      [...content.matchAll(/npm run ([\w:-]+)/g)].map(([, name]) => ({ path, name: name ?? '' })));
    expect(told.filter(({ name }) => !(name in scripts))).toEqual([]);
  });

  it('runs files that are there', () => {
    const files = Object.values(scripts).flatMap((script) => [...script.matchAll(/\bnode (\S+)/g)].map(([, file]) => file ?? ''));
    expect(files.length).toBeGreaterThan(3);
    const source = (file: string): string => file.replace(/^dist\/(.*)\.js$/, '$1.ts');
    expect(files.filter((file) => !existsSync(join(ROOT, source(file))))).toEqual([]);
  });

  it('names programs that can be run, as the build machine does', () => {
    for (const path of [...Object.values(bin), '.ci/run']) {
      expect(() => accessSync(join(ROOT, path), constants.X_OK), path).not.toThrow();
      expect(text(path)).toMatch(/^#!\/usr\/bin\/env /);
    }
    expect(text('.ci/run')).toContain('npm test');
  });
});

describe('package-lock.json', () => {
  interface Locked {
    readonly dependencies?: Record<string, string>;
    readonly devDependencies?: Record<string, string>;
    readonly optionalDependencies?: Record<string, string>;
  }
  const { packages } = JSON.parse(text('package-lock.json')) as { packages: Record<string, Locked> };
  const wanted = JSON.parse(text('package.json')) as Locked;

  it('asks for what package.json asks for', () => {
    const { dependencies, devDependencies, optionalDependencies } = packages[''] ?? {};
    expect({ dependencies, devDependencies, optionalDependencies })
      .toEqual({ dependencies: wanted.dependencies, devDependencies: wanted.devDependencies, optionalDependencies: wanted.optionalDependencies });
  });

  it('names the packages of other systems too: npm ci refuses a lock without them', () => {
    // npm leaves out those that are not installed when it writes the lock over an existing node_modules, or that a mirror lacks.
    const absent = Object.entries(packages).filter(([path]) => path !== '').flatMap(([path, { optionalDependencies = {} }]) =>
      Object.keys(optionalDependencies).filter((name) => !(`node_modules/${name}` in packages) && !(`${path}/node_modules/${name}` in packages)));
    expect(absent).toEqual([]);
  });
});

describe('limits', () => {
  it('are each used somewhere', () => {
    const used = code.filter(({ path }) => path !== 'src/limits.ts').map((file) => withoutComments(file.text)).join('\n');
    expect(Object.keys(LIMITS).filter((name) => !new RegExp(`\\b${name}\\b`).test(used))).toEqual([]);
  });
});
