// Transpiles both flavours of the component into dist/, unless dist/ is from the same components and the same jco.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { copyFileSync, existsSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';

const here = import.meta.dirname;
const flavours = [
  { mode: 'async', component: join(here, '../../host/session-repository.wasm') },
  { mode: 'sync', component: join(here, '../../host/session-repository-sync.wasm') },
];

// The program of the package, which does not export its package.json.
const jco = join(dirname(createRequire(import.meta.url).resolve('@bytecodealliance/jco')), 'jco.js');

const hash = createHash('sha256').update(readFileSync(import.meta.filename)).update(readFileSync(join(here, 'package-lock.json')));
for (const { component } of flavours) hash.update(readFileSync(component));
const wanted = hash.digest('hex');
const stamp = join(here, 'dist/built-from');

if (!existsSync(stamp) || readFileSync(stamp, 'utf8') !== wanted) {
  rmSync(join(here, 'dist'), { recursive: true, force: true });
  for (const { mode, component } of flavours) {
    const options = ['-o', join(here, 'dist', mode), '--name', 'component', '--instantiation', mode, '--quiet'];
    const { status, error } = spawnSync(process.execPath, [jco, 'transpile', component, ...options], { stdio: ['ignore', 2, 2] });
    if (error) throw error;
    if (status !== 0) process.exit(status ?? 1);
    // A browser fetches the modules before it makes an instance.
    const modules = readdirSync(join(here, 'dist', mode)).filter((name) => name.endsWith('.wasm'));
    writeFileSync(join(here, 'dist', mode, 'modules.js'), `export const MODULES = ${JSON.stringify(modules)};\n`);
  }
  writeFileSync(stamp, wanted);
}

// npm packs no links.
copyFileSync(join(here, '../../LICENSE'), join(here, 'LICENSE'));
