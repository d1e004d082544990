import type { Transport } from "@connectrpc/connect";
import { type FormEvent, useState } from "react";
import { ErrorReason, ParlanceError } from "../../typescript/errors.ts";
import type { Login } from "../../typescript/login.ts";
import { logIn } from "../client/login.ts";
import { inWords } from "../state/words.ts";
import { Field } from "./field.tsx";
import { Logo } from "./icons.tsx";
import { ThemeSwitch } from "./theme-switch.tsx";

/** Asks who the user is: by name where the server lets anyone in, else by a token. */
export function SignIn({
  transport,
  reason,
  onSignedIn,
}: {
  transport: Transport;
  /** Why the user is here again, in words. */
  reason: string;
  onSignedIn: (login: Login) => void;
}) {
  const [withToken, setWithToken] = useState(false);
  const [value, setValue] = useState("");
  const [problem, setProblem] = useState(reason);
  const [busy, setBusy] = useState(false);

  async function submit(event: FormEvent) {
    event.preventDefault();
    if (busy || value.trim() === "") return;
    setBusy(true);
    setProblem("");
    try {
      const credentials = withToken ? { token: value.trim() } : { devUserId: value.trim() };
      onSignedIn(await logIn(transport, credentials));
    } catch (error) {
      setBusy(false);
      if (error instanceof ParlanceError && error.reason === ErrorReason.LOGIN_METHOD_DISABLED) {
        setProblem(
          withToken
            ? "This server takes no tokens. Sign in with a name."
            : "This server wants a token of your organisation.",
        );
        choose(!withToken);
      } else setProblem(inWords(error));
    }
  }

  function choose(token: boolean) {
    setWithToken(token);
    setValue("");
  }

  return (
    <main className="sign-in">
      <div className="sign-in-corner">
        <ThemeSwitch />
      </div>
      <form className="sign-in-card" onSubmit={(event) => void submit(event)}>
        <Logo size={48} />
        <h1>Parlance</h1>
        <p className="sign-in-lead">
          {withToken ? "Paste the token you were given." : "Choose a name and start talking."}
        </p>
        {withToken ? (
          <Field
            key="token"
            label="Token"
            value={value}
            onChange={setValue}
            multiline
            problem={problem}
            focus
          />
        ) : (
          <Field
            key="name"
            label="Your name"
            value={value}
            onChange={setValue}
            placeholder="alice"
            problem={problem}
            focus
          />
        )}
        <button
          type="submit"
          className="button button-primary button-wide"
          disabled={busy || value.trim() === ""}
        >
          {busy ? "Signing in…" : "Sign in"}
        </button>
        <button
          type="button"
          className="button button-link"
          onClick={() => {
            setProblem("");
            choose(!withToken);
          }}
        >
          {withToken ? "Use a name instead" : "Use a token instead"}
        </button>
      </form>
    </main>
  );
}
