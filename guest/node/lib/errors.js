// The one class of errors that callers see and storages throw, and its form at the edge of the component.

const ENTITIES = ['session', 'agent', 'message'];

const isCount = (value) => (typeof value === 'bigint' ? value >= 0n : Number.isSafeInteger(value) && value >= 0);

/** For each code: the detail that it needs, if any, and the message where none is given. */
const CODES = {
  'not-found': { needs: { entity: isEntity }, message: ({ entity }) => `the ${entity} does not exist` },
  'already-exists': { needs: { entity: isEntity }, message: ({ entity }) => `the ${entity} exists already` },
  stale: { needs: { current: isCount }, message: ({ current }) => `the session is at revision ${current} by now` },
  'invalid-argument': { message: () => 'an argument breaks a rule' },
  'too-large': {
    needs: { size: isCount, limit: isCount },
    message: ({ size, limit }) => `${size} bytes are too large, the limit is ${limit}`,
  },
  'access-denied': { message: () => 'access is denied' },
  timeout: { message: () => 'no answer came in time' },
  unavailable: { message: () => 'the storage cannot be reached right now' },
  corrupt: { message: () => 'a stored value does not fit the schema' },
  internal: { message: () => 'the repository failed' },
  'quota-exceeded': {
    needs: { retryAfterMs: isCount },
    message: ({ retryAfterMs }) => `the quota is used up; there is more in ${retryAfterMs} ms`,
  },
  unsupported: { message: () => 'the storage does not do this' },
};

function isEntity(value) {
  return ENTITIES.includes(value);
}

/** A bigint as a number where that is exact. */
export function plainInteger(value) {
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : BigInt(value);
}

export class SessionError extends Error {
  constructor(code, { message, cause, ...details } = {}) {
    if (!Object.hasOwn(CODES, code)) throw new TypeError(`there is no error code ${JSON.stringify(code)}`);
    const { needs = {}, message: usual } = CODES[code];
    for (const [name, fits] of Object.entries(needs)) {
      if (!fits(details[name])) throw new TypeError(`an error of code ${code} needs a valid \`${name}\``);
    }
    for (const name of Object.keys(details)) {
      if (!Object.hasOwn(needs, name)) throw new TypeError(`an error of code ${code} has no \`${name}\``);
    }
    super(message ?? usual(details), cause === undefined ? undefined : { cause });
    this.code = code;
    for (const name of Object.keys(needs)) this[name] = name === 'entity' ? details[name] : plainInteger(details[name]);
  }

  get name() {
    return 'SessionError';
  }
}

export const invalid = (message) => new SessionError('invalid-argument', { message });

/** An error as the component takes it from its storage. */
export function toVariant(error) {
  const { code: tag } = error;
  switch (tag) {
    case 'not-found':
    case 'already-exists':
      return { tag, val: error.entity };
    case 'stale':
      return { tag, val: BigInt(error.current) };
    case 'too-large':
      return { tag, val: { size: BigInt(error.size), limit: BigInt(error.limit) } };
    case 'quota-exceeded':
      return { tag, val: BigInt(error.retryAfterMs) };
    case 'timeout':
      return { tag };
    default:
      return { tag, val: error.message };
  }
}

/** An error as the component answers it. */
export function fromVariant({ tag, val }) {
  switch (tag) {
    case 'not-found':
    case 'already-exists':
      return new SessionError(tag, { entity: val });
    case 'stale':
      return new SessionError(tag, { current: val });
    case 'too-large':
      return new SessionError(tag, { size: val.size, limit: val.limit });
    case 'quota-exceeded':
      return new SessionError(tag, { retryAfterMs: val });
    case 'timeout':
      return new SessionError(tag);
    default:
      return new SessionError(tag, { message: val });
  }
}
