// From errors of the driver to errors of the package. Texts of the driver name servers and values, so they stay in `cause`.

import * as driver from 'mongodb';
import { SessionError } from 'session-repository';

/** The largest document, in bytes. */
const LIMIT = 16 * 1024 * 1024;

// https://www.mongodb.com/docs/manual/reference/error-codes/
const DUPLICATE_KEY = 11000;
const TOO_LARGE = [10334, 17280, 17419];
const DENIED = [13, 18, 121];
const TIMEOUT = [50, 64];
const NOT_NOW = [6, 7, 79, 89, 91, 100, 112, 133, 134, 189, 262, 9001, 10058, 10107, 11600, 11602, 13435, 13436];
const LATE = [driver.MongoOperationTimeoutError, driver.MongoNetworkTimeoutError];
const UNREACHABLE = [
  driver.MongoNetworkError,
  driver.MongoServerSelectionError,
  driver.MongoClientClosedError,
  driver.MongoNotConnectedError,
  driver.MongoServerClosedError,
  driver.MongoTopologyClosedError,
  // The storage opens no session itself: the driver's own end with the client.
  driver.MongoExpiredSessionError,
];
// The driver does not export the classes of these two.
const NO_CONNECTION_IN_TIME = 'MongoWaitQueueTimeoutError';
const POOL_CLOSED = 'MongoPoolClosedError';

export const corrupt = (what, cause) => new SessionError('corrupt', { message: `the stored ${what} does not fit the schema`, cause });
export const tooLarge = (size = LIMIT + 1, cause) => new SessionError('too-large', { size, limit: LIMIT, cause });

const isOneOf = (error, codes) => error instanceof driver.MongoServerError && codes.includes(error.code);
const isA = (error, classes) => classes.some((each) => error instanceof each);

/** Whether the server refused a value because it is taken and must be unique. */
export const isTaken = (error) => isOneOf(error, [DUPLICATE_KEY]);

/** Whether the server refused an update itself, because it does not fit the stored document. */
export function isRefused(error) {
  const isWriteError = error instanceof driver.MongoServerError && error.index !== undefined;
  return isWriteError && !isOneOf(error, [DUPLICATE_KEY, ...TOO_LARGE, ...DENIED, ...TIMEOUT, ...NOT_NOW]);
}

/** An error for callers. What is unknown stays as it is, and becomes `internal`. */
export function asSessionError(error) {
  const as = (code, message) => new SessionError(code, { message, cause: error });
  if (error instanceof SessionError) return error;
  if (isOneOf(error, TOO_LARGE)) return tooLarge(LIMIT + 1, error);
  if (isOneOf(error, DENIED)) return as('access-denied', 'the store refuses this');
  if (isOneOf(error, TIMEOUT) || isA(error, LATE) || error?.name === NO_CONNECTION_IN_TIME) {
    return as('timeout', 'no answer came in time');
  }
  if (isOneOf(error, NOT_NOW) || isA(error, UNREACHABLE) || error?.name === POOL_CLOSED) {
    return as('unavailable', 'the store cannot be reached right now');
  }
  return isRefused(error) || isTaken(error) ? corrupt('session', error) : error;
}
