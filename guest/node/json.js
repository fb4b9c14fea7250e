// JSON text in parts, for storages. Types and documentation: json.d.ts.

export { items, members, object } from './lib/json.js';
