// @ts-check
/**
 * What screens need to follow the server.
 */
import { useCallback, useEffect, useLayoutEffect, useRef, useState } from '../vendor/preact.js';

/**
 * Loads something, and again whenever `deps` change; what was there before stays until the new is there. `reload` looks
 * quietly once more; while a look is under way, once it has ended.
 * @template T
 * @param {(signal: AbortSignal) => Promise<T>} load
 * @param {any[]} deps
 * @returns {{ data: T | undefined, error: any, isLoading: boolean, reload: () => void }}
 */
export function useLoad(load, deps) {
  const [state, setState] = useState(/** @type {any} */ ({ data: undefined, error: undefined, isLoading: true }));
  const latest = useRef(load);
  latest.current = load;
  const run = useRef(/** @type {(isQuiet: boolean) => void} */ (() => {}));
  useEffect(() => {
    const abort = new AbortController();
    let [isRunning, isWantedAgain] = [false, false];
    const ended = (/** @type {any} */ next) => {
      if (abort.signal.aborted) return;
      isRunning = false;
      setState((/** @type {any} */ old) => ({ ...old, ...next, isLoading: false }));
      if (isWantedAgain) run.current(true);
    };
    run.current = (isQuiet) => {
      if (isRunning) {
        isWantedAgain = true;
        return;
      }
      [isRunning, isWantedAgain] = [true, false];
      if (!isQuiet) setState((/** @type {any} */ old) => ({ ...old, isLoading: true }));
      latest.current(abort.signal).then(
        (data) => ended({ data, error: undefined }),
        (error) => ended({ error }),
      );
    };
    run.current(false);
    return () => abort.abort();
  }, deps);
  const reload = useCallback(() => run.current(true), []);
  return { ...state, reload };
}

/** A value once it has stood still for a while. @template T @param {T} value @param {number} [ms] @returns {T} */
export function useSettled(value, ms = 150) {
  const [settled, setSettled] = useState(value);
  useEffect(() => {
    const timer = setTimeout(() => setSettled(() => value), ms);
    return () => clearTimeout(timer);
  }, [value, ms]);
  return settled;
}

/** Names the page. @param {string} title */
export function useTitle(title) {
  useLayoutEffect(() => {
    document.title = title ? `${title} · zonda` : 'zonda';
  }, [title]);
}

/** A number for labels and what they describe. */
export function useId(prefix = 'f') {
  const id = useRef('');
  if (!id.current) id.current = `${prefix}${(serial += 1)}`;
  return id.current;
}

let serial = 0;
