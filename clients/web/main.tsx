import { createConnectTransport } from "@connectrpc/connect-web";
import { createRoot } from "react-dom/client";
import { createTheme } from "./state/theme.ts";
import "./styles/index.css";
import { App } from "./ui/app.tsx";

// The calls are where the page is, which may be below a path.
const baseUrl = new URL(".", location.href).href;
const transport = createConnectTransport({ baseUrl, useBinaryFormat: true });
const root = document.getElementById("root");
if (root === null) throw new Error("the page has no #root");
createRoot(root).render(<App transport={transport} theme={createTheme()} />);
