// What the console does in the browser alone: sections coming into view, being looked at, language, colours, sign-out.
"use strict";

const zkConsole = {
  started: false,
  renewedAt: Date.now(),

  start(renewMinutes) {
    if (this.started) return;
    this.started = true;
    const sections = [...document.querySelectorAll("[data-zk-section]")];
    const load = new IntersectionObserver(
      (entries) =>
        entries
          .filter((entry) => entry.isIntersecting)
          .forEach((entry) => {
            load.unobserve(entry.target);
            emitEvent("zk-in-view", entry.target.dataset.zkSection);
          }),
      { rootMargin: "300px" },
    );
    const mark = new IntersectionObserver(
      (entries) => entries.filter((entry) => entry.isIntersecting).forEach((entry) => this.markCurrent(entry.target.id)),
      { rootMargin: "-25% 0px -70% 0px" },
    );
    sections.forEach((section) => {
      load.observe(section);
      mark.observe(section);
    });
    this.openPart();
    window.addEventListener("hashchange", () => this.openPart());
    document.addEventListener("visibilitychange", () => {
      emitEvent("zk-looked-at", !document.hidden);
      if (!document.hidden) this.renew();
    });
    document.addEventListener("keydown", (event) => this.key(event));
    document.addEventListener("click", (event) => this.leaveMenu(event));
    document.addEventListener("focusin", (event) => {
      const item = event.target.closest("[data-zk-item]");
      if (item) [this.item, this.itemText] = [item, item.textContent];
    });
    setInterval(() => this.renew(), 60000 * renewMinutes);
    window.socket.io.on("reconnect_error", () => this.renew());
    this.watchConnection();
    this.watchScrolling();
    this.keepFocus();
  },

  // A part that is drawn again keeps the focus: what has the same name there takes it.
  keepFocus() {
    const name = (one) => one.getAttribute("aria-label") || one.textContent;
    const among = (panel) => [...panel.querySelectorAll("a[href], button, input, summary, [tabindex='0']")].filter((one) => one.checkVisibility());
    let held;
    document.addEventListener("focusin", ({ target }) => {
      const panel = target.closest(".zk-panel");
      held = panel && { one: target, panel, name: name(target), place: among(panel).indexOf(target) };
    });
    document.addEventListener("pointerdown", () => (held = undefined));
    new MutationObserver(() => {
      if (!held || held.one.isConnected || document.activeElement !== document.body || !held.panel.isConnected) return;
      const drawn = among(held.panel);
      const same = drawn.filter((one) => name(one) === held.name && one.tagName === held.one.tagName);
      const place = (one) => Math.abs(drawn.indexOf(one) - held.place);
      same.sort((one, other) => place(one) - place(other))[0]?.focus({ preventScroll: true });
    }).observe(document.body, { childList: true, subtree: true });
  },

  // What scrolls and has nothing in it that takes the focus takes it itself: otherwise no key could scroll it.
  watchScrolling() {
    const boxes = ".zk-table-box, .zk-dialog-body";
    const settle = () =>
      document.querySelectorAll(boxes).forEach((box) => {
        const scrolls = box.scrollWidth > box.clientWidth + 1 || box.scrollHeight > box.clientHeight + 1;
        if (scrolls && !box.querySelector("a[href], button, input, [tabindex='0']")) box.tabIndex = 0;
        else box.removeAttribute("tabindex");
      });
    const sizes = new ResizeObserver(settle);
    const added = (node) => node.nodeType === 1 && (node.matches(boxes) || node.closest(boxes) || node.querySelector(boxes));
    const watch = () => document.querySelectorAll(boxes).forEach((box) => [box, ...box.children].forEach((one) => sizes.observe(one)));
    new MutationObserver((changes) => {
      if (changes.some((change) => [...change.addedNodes].some(added))) watch();
    }).observe(document.body, { childList: true, subtree: true });
    watch();
  },

  // The page says that it may be out of date; after a restart of the server it is loaded again, and says that too.
  watchConnection() {
    const shown = (name, is) => document.querySelectorAll(`.zk-banner-${name}`).forEach((one) => (one.hidden = !is));
    shown("reloaded", sessionStorage.zkLost === "yes");
    delete sessionStorage.zkLost;
    window.socket.on("disconnect", () => {
      sessionStorage.zkLost = "yes";
      shown("offline", true);
    });
    window.socket.on("connect", () => {
      // A page that the server has forgotten is loaded again within this time.
      setTimeout(() => delete sessionStorage.zkLost, 3000);
      shown("offline", false);
    });
    window.addEventListener("pagehide", () => document.querySelector(".zk-banner-offline:not([hidden])") || delete sessionStorage.zkLost);
  },

  // On a phone the menu covers the page, which scrolls nowhere until the menu has gone.
  leaveMenu(event) {
    const link = event.target.closest(".zk-nav-link");
    const backdrop = link && document.querySelector(".q-drawer__backdrop:not(.hidden)");
    if (!backdrop) return;
    event.preventDefault();
    backdrop.click();
    const follow = () => {
      if (document.body.classList.contains("q-body--prevent-scroll")) requestAnimationFrame(follow);
      else location.assign(link.href);
    };
    requestAnimationFrame(follow);
  },

  // The address may name a part of a section, which has no place of its own on the page.
  openPart() {
    const name = decodeURIComponent(location.hash.slice(1));
    const section = name && document.querySelector(`[data-zk-parts~="${CSS.escape(name)}"]`);
    if (section) emitEvent("zk-part", name);
    const named = section || (name && document.getElementById(name));
    if (named) this.hold(named);
  },

  // What loads above would push away what the address names: it is held in place until somebody moves the page.
  hold(named) {
    named.scrollIntoView();
    const until = Date.now() + 5000;
    const observer = new ResizeObserver(() => (Date.now() < until ? named.scrollIntoView() : observer.disconnect()));
    observer.observe(document.querySelector(".nicegui-content"));
    const moved = ["wheel", "touchstart", "pointerdown", "keydown"];
    moved.forEach((name) => addEventListener(name, () => observer.disconnect(), { once: true }));
  },

  // A fresh cookie: that of a page that is open for long is exchanged before it is over.
  async renew() {
    if (document.hidden || Date.now() - this.renewedAt < 5000) return;
    this.renewedAt = Date.now();
    await fetch("/api/v1/auth/refresh", { method: "POST" }).catch(() => undefined);
  },

  // Keys of a list of work: J and K move, X selects, Escape closes, ? lists the keys, a letter presses the button that has it.
  // Enter needs nothing of us: what has the focus is a button.
  key(event) {
    const list = document.querySelector("[data-zk-todo]");
    const typing = event.target.closest("input:not([type=checkbox], [type=radio]), textarea, select, [contenteditable=true]");
    const modified = event.ctrlKey || event.metaKey || event.altKey;
    if (!list || typing || modified || document.querySelector(".q-dialog") || !this.inView(list)) return;
    const shown = (selector, within = list) => [...within.querySelectorAll(selector)].filter((one) => one.checkVisibility());
    const press = (one) => {
      if (!one) return;
      event.preventDefault();
      one.click();
    };
    const pane = shown(".zk-pane")[0];
    const at = document.activeElement;
    const key = event.key.toLowerCase();
    if (key === "j" || key === "k") {
      const items = shown("[data-zk-item]");
      const from = items.indexOf(at?.closest("[data-zk-item]") || this.item);
      this.item = items[Math.max(0, Math.min(items.length - 1, from + (key === "j" ? 1 : from < 0 ? 1 : -1)))];
      this.item?.focus();
      this.item?.scrollIntoView({ block: "nearest" });
    } else if (key === "x") {
      press(at?.closest("tr")?.querySelector("[role=checkbox]"));
      at?.focus(); // The box takes the focus; the row keeps it.
    } else if (key === "escape") press(pane && shown("[data-zk-close]", pane)[0]);
    else if (key === "?") press(document.querySelector("[data-zk-help]"));
    else if (/^[a-z]$/.test(key)) press(shown(`[data-zk-key="${key}"]`, pane || list)[0]);
  },

  inView(one) {
    const box = one.getBoundingClientRect();
    return box.top < innerHeight && box.bottom > 0;
  },

  // The focus goes back to where the list was left.
  toList() {
    const items = [...document.querySelectorAll("[data-zk-todo] [data-zk-item]")];
    const same = items.find((one) => one.isConnected && one === this.item) || items.find((one) => one.textContent === this.itemText);
    if (document.activeElement === document.body || document.activeElement?.closest(".zk-pane")) (same || items[0])?.focus();
  },

  // What is opened in the pane takes the focus, unless somebody was faster and is in it already.
  toPane(heading) {
    if (heading && !heading.closest(".zk-pane")?.contains(document.activeElement)) heading.focus();
  },

  markCurrent(name) {
    document.querySelectorAll(".zk-nav-link").forEach((link) => {
      if (link.dataset.section === name) link.setAttribute("aria-current", "location");
      else link.removeAttribute("aria-current");
    });
  },

  remember(name, value) {
    const [prefix, secure] = location.protocol === "https:" ? ["__Host-", "; secure"] : ["", ""];
    document.cookie = `${prefix}${name}=${value}; path=/; max-age=31536000; samesite=lax${secure}`;
  },

  language(code) {
    this.remember("zk_language", code);
    location.reload();
  },

  theme() {
    Quasar.Dark.toggle();
    this.remember("zk_theme", Quasar.Dark.isActive ? "dark" : "light");
  },

  async signOut() {
    await fetch("/api/v1/auth/logout", { method: "POST" });
    location.assign("/sign-in");
  },

  signIn() {
    const here = location.pathname + location.search;
    setTimeout(() => location.assign(`/sign-in?next=${encodeURIComponent(here)}`), 1500);
  },
};

// A click is answered at once, before the server can: the button rests until it says that it is busy.
document.addEventListener("click", (event) => {
  const button = event.target.closest?.(".q-btn:is(.zk-button, .zk-icon-button, .zk-open)");
  if (!button) return;
  button.classList.add("zk-pressed");
  setTimeout(() => button.classList.remove("zk-pressed"), 500);
});
