// The repository for Node and browsers. Types and documentation: index.d.ts.

import { load } from '#platform';
import { CALLS } from './lib/calls.js';
import { AsyncComponent, SyncComponent } from './lib/component.js';
import { SessionError } from './lib/errors.js';
import { bring } from './lib/values.js';

export { SessionError };

/** What a caller gets for what a call threw. */
function thrownBy(error) {
  return error instanceof SessionError ? error : new SessionError('internal', { message: 'the component failed', cause: error });
}

/** The repository's interfaces, each function made by `make`. */
function interfaces(make) {
  const functions = (name, calls) => Object.fromEntries(Object.entries(calls).map(([call, shape]) => [call, make(name, call, shape)]));
  return Object.fromEntries(Object.entries(CALLS).map(([name, calls]) => [name, Object.freeze(functions(name, calls))]));
}

/** Refuses options that have no effect, such as misspelt ones. */
function refuse(unknown) {
  for (const name of Object.keys(unknown)) throw new TypeError(`there is no option ${JSON.stringify(name)}`);
}

export async function createRepository({ storage, flavour = 'async', ...unknown } = {}) {
  refuse(unknown);
  if (flavour === 'sync') {
    await load('sync');
    return promising(createSyncRepository({ storage }));
  }
  if (flavour !== 'async') throw new TypeError(`flavour: must be 'async' or 'sync', not ${JSON.stringify(flavour)}`);
  const component = await AsyncComponent.open(storage);
  return Object.freeze(
    interfaces((name, call, { take, give }) => async (...args) => {
      try {
        return give(await component.call(name, call, bring(take(...args))));
      } catch (error) {
        throw thrownBy(error);
      }
    }),
  );
}

export function createSyncRepository({ storage, ...unknown } = {}) {
  refuse(unknown);
  const component = new SyncComponent(storage);
  let busy = false;
  return Object.freeze(
    interfaces((name, call, { take, give }) => (...args) => {
      if (busy) throw new SessionError('unavailable', { message: 'the repository serves another call: its storage called it' });
      try {
        const taken = bring(take(...args));
        busy = true;
        return give(component.call(name, call, taken));
      } catch (error) {
        throw thrownBy(error);
      } finally {
        busy = false;
      }
    }),
  );
}

/** The same repository with calls that return promises. */
function promising(repository) {
  return Object.freeze(interfaces((name, call) => async (...args) => repository[name][call](...args)));
}
