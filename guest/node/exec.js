// A repository in memory that speaks the `exec` protocol on stdin and stdout. With --sync, on the synchronous flavour.

import { parseArgs } from 'node:util';
import { createRepository } from './index.js';
import { memoryStorage } from './memory.js';
import { serve } from './serve.js';

const { values } = parseArgs({ options: { sync: { type: 'boolean', default: false } } });
await serve(await createRepository({ storage: memoryStorage(), flavour: values.sync ? 'sync' : 'async' }));
