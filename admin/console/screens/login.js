// @ts-check
/**
 * The way in. The address stays as it is, so that one is back where one was afterwards.
 */
import { html, useEffect, useState } from '../vendor/preact.js';
import { get, logIn } from '../lib/api.js';
import { useTitle } from '../lib/hooks.js';
import { Button, Field, Notice } from '../lib/kit.js';

/** Asks for the superuser's name and password. */
export function LogIn() {
  useTitle('Log in');
  const [identity, setIdentity] = useState('');
  const [password, setPassword] = useState('');
  const [isDefault, setIsDefault] = useState(false);
  const [isBusy, setIsBusy] = useState(false);
  const [error, setError] = useState(/** @type {any} */ (null));
  useEffect(
    () =>
      void get('/api/zonda/welcome', { isGuest: true }).then(({ default_account: account }) => {
        if (!account) return;
        setIsDefault(true);
        setIdentity((/** @type {string} */ old) => old || account);
        setPassword((/** @type {string} */ old) => old || DEFAULT);
      }, setError),
    [],
  );
  const submit = async (/** @type {Event} */ event) => {
    event.preventDefault();
    setIsBusy(true);
    setError(null);
    try {
      await logIn(identity, password);
    } catch (why) {
      setError(why);
      setIsBusy(false);
    }
  };
  return html`<main class="login"><form onSubmit=${submit} novalidate>
    <h1><img src="/console/icon.svg" alt="" width="28" height="28" />zonda</h1>
    <${Field} label="E-mail" type="email" name="email" autocomplete="username" value=${identity} onValue=${setIdentity} error=${error?.field?.('identity')} autofocus />
    <${Field} label="Password" type="password" name="password" autocomplete="current-password" value=${password} onValue=${setPassword} error=${error?.field?.('password')} />
    ${error && !Object.keys(error.fields ?? {}).length && html`<${Notice} kind="bad">${error.status === 400 ? 'E-mail or password is wrong.' : error.message}</${Notice}>`}
    <${Button} kind="primary" type="submit" busy=${isBusy}>Log in</${Button}>
    ${isDefault && html`<${Notice} kind="warn">A new server has an account that everybody knows, which is filled in above. It works on this machine only, until you set a password of your own.</${Notice}>`}
  </form></main>`;
}

/** The password of a new server, as its manual has it. */
const DEFAULT = 'pwd@pocketbase.internal';
