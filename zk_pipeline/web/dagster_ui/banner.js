// On the page of a failed run, above all else: why it failed and what to do, from the run's tag zk/failure.
(() => {
  const { pathPrefix } = JSON.parse(document.getElementById("initialization-data").textContent);
  const bar = document.createElement("div");
  bar.setAttribute("role", "alert");
  bar.style.cssText =
    "flex:none;padding:10px 24px;background:#fdecea;color:#7a1212;border-bottom:1px solid #f0b4ae;font:14px/1.5 sans-serif";
  bar.hidden = true;
  document.body.prepend(bar);
  const query = "query zkFailure($id: ID!) { runOrError(runId: $id) { ... on Run { status tags { key value } } } }";
  let run = "", settled = false;

  const show = (sentence) => {
    bar.textContent = sentence;
    bar.hidden = !sentence;
    // Dagster's page is as high as the window.
    document.body.style.cssText = sentence ? "display:flex;flex-direction:column;height:100vh" : "";
    document.getElementById("__next").style.cssText = sentence ? "flex:1;min-height:0;overflow:hidden" : "";
    document.getElementById("root").style.height = sentence ? "100%" : "";
  };

  const look = async () => {
    const [, id = ""] = location.pathname.match(/\/runs\/([0-9a-f-]{36})/) || [];
    if (id !== run) [run, settled] = [id, false];
    if (!run) show("");
    if (!run || settled || document.hidden) return;
    const body = JSON.stringify({ query, variables: { id } });
    const sent = { method: "POST", headers: { "content-type": "application/json" }, body };
    const answer = await fetch(`${pathPrefix}/graphql`, sent);
    const found = answer.ok ? (await answer.json()).data.runOrError : {};
    if (id !== run) return;
    const { value = "" } = (found.tags || []).find((tag) => tag.key === "zk/failure") || {};
    show(found.status === "FAILURE" ? value : "");
    settled = found.status === "SUCCESS" || found.status === "CANCELED" || (found.status === "FAILURE" && value !== "");
  };

  setInterval(() => look().catch(() => {}), 2000);
  look().catch(() => {});
})();
