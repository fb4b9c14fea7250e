import type { Readable, Writable } from 'node:stream';
import type { Repository } from './index.js';

/**
 * Serves the `exec` protocol: JSON requests on `input`, one a line, and JSON responses on `output`. Resolves when the input has ended and
 * all calls are answered.
 *
 * `session-repo conformance --exec 'node my-program.js'` tests a storage through it.
 */
export function serve(repository: Repository, streams?: { input?: Readable; output?: Writable }): Promise<void>;
