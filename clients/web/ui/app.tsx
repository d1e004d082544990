import type { Transport } from "@connectrpc/connect";
import { useEffect, useState } from "react";
import type { Store } from "../../model/store.ts";
import { ErrorReason, Status } from "../../typescript/errors.ts";
import type { Login } from "../../typescript/login.ts";
import { forgetLogin, restoreLogin } from "../client/login.ts";
import { Chat } from "../state/chat.ts";
import type { Theme } from "../state/theme.ts";
import { inWords } from "../state/words.ts";
import { ChatContext, ThemeContext } from "./context.ts";
import { Shell } from "./shell.tsx";
import { SignIn } from "./sign-in.tsx";

/** The whole page: the sign-in, or the chat of who is signed in. */
export function App({ transport, theme }: { transport: Transport; theme: Store<Theme> }) {
  const [login, setLogin] = useState<Login | undefined>(() => restoreLogin(transport));
  const [reason, setReason] = useState("");
  const chat = useChatOf(transport, login, (why) => {
    forgetLogin();
    setReason(why);
    setLogin(undefined);
  });

  return (
    <ThemeContext value={theme}>
      {chat === undefined ? (
        <SignIn transport={transport} reason={reason} onSignedIn={setLogin} />
      ) : (
        <ChatContext value={chat}>
          <Shell
            onSignOut={() =>
              void chat
                .logOut()
                .then(forgetLogin)
                .then(() => setLogin(undefined))
            }
          />
        </ChatContext>
      )}
    </ThemeContext>
  );
}

/** Starts the chat of a login and ends it with the login; tells when the server has put the user out. */
function useChatOf(
  transport: Transport,
  login: Login | undefined,
  onPutOut: (reason: string) => void,
): Chat | undefined {
  const [chat, setChat] = useState<Chat>();

  // biome-ignore lint/correctness/useExhaustiveDependencies: a chat lives as long as its login
  useEffect(() => {
    if (login === undefined) return;
    const started = new Chat(transport, login);
    const stopWatching = started.store.subscribe(() => {
      const { link } = started.store.get();
      if (link.phase !== "closed" || link.error?.code !== Status.UNAUTHENTICATED) return;
      if (link.error.reason === ErrorReason.SESSION_REPLACED) return;
      onPutOut(inWords(link.error));
    });
    started.start();
    setChat(started);
    return () => {
      stopWatching();
      setChat(undefined);
      void started.close();
    };
  }, [transport, login]);

  return login === undefined ? undefined : chat;
}
