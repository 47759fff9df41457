#!/usr/bin/env node
/** Starts the built command line; says so when there is none yet. */
const entry = new URL('../dist/src/cli/main.js', import.meta.url);
const cli = await import(entry.href).catch((error) => {
  if (error?.code !== 'ERR_MODULE_NOT_FOUND') throw error;
  const what = error.url === entry.href ? 'it is not built yet' : error.message;
  process.stderr.write(`agentsight-ts: could not start: ${what}\n  hint: run \`npm run setup\` in its folder\n`);
  process.exit(1);
});
await cli.run(process.argv.slice(2));
