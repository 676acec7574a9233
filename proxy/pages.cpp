#include "proxy/pages.hpp"

#include "base/crypto.hpp"
#include "base/text.hpp"

#include <initializer_list>
#include <utility>

namespace alcove::proxy {
namespace {

constexpr std::string_view kShell = R"html(<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="robots" content="noindex">
<title>{title}</title>
{head}<style nonce="{nonce}">
:root {
  color-scheme: light dark;
  --ground: #f4f1ea; --card: #fffdf8; --line: #e6e0d4; --ink: #24211c; --soft: #6b6459;
  --accent: #2c5f52; --on-accent: #ffffff; --wall: #dcd4c4; --niche: #f3ede1; --lamp: #cf7f2a; --glow: #f0a94c;
  --bad: #9a3324; --bad-ground: #fbeeea;
}
@media (prefers-color-scheme: dark) {
  :root {
    --ground: #141412; --card: #1d1c1a; --line: #33312c; --ink: #ece7dd; --soft: #a39c8f;
    --accent: #93c9b5; --on-accent: #10231d; --wall: #4b473d; --niche: #292722; --lamp: #ffcf8a; --glow: #e29a45;
    --bad: #f1a899; --bad-ground: #33201c;
  }
}
*, *::before, *::after { box-sizing: border-box; margin: 0; }
html { height: 100%; }
body {
  min-height: 100%; display: flex; flex-direction: column; align-items: center; justify-content: center;
  gap: 1.5rem; padding: 2rem 1rem; background: var(--ground); color: var(--ink);
  font: 1rem/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", "Liberation Sans", sans-serif;
}
main {
  width: 100%; max-width: 27rem; padding: 2.75rem 2.5rem 2.5rem; text-align: center; background: var(--card);
  border: 1px solid var(--line); border-radius: 1.25rem; box-shadow: 0 1.5rem 3rem -2rem rgb(0 0 0 / .28);
}
svg { display: block; width: 5.25rem; height: auto; margin: 0 auto 1.5rem; }
.wall { fill: var(--wall); } .niche { fill: var(--niche); } .lamp { fill: var(--lamp); }
.glow { fill: url(#light); } .near { stop-color: var(--glow); stop-opacity: .85; } .far { stop-color: var(--glow); stop-opacity: 0; }
.floor { stroke: var(--wall); stroke-width: 4; stroke-linecap: round; }
.unlit .lamp, .unlit .glow { display: none; }
h1 { font-size: 1.5rem; line-height: 1.25; font-weight: 650; letter-spacing: -.015em; }
h1 + p { margin-top: .5rem; color: var(--soft); }
h1, p { overflow-wrap: anywhere; text-wrap: balance; }
b { font-weight: 650; color: var(--ink); }
form { margin-top: 1.75rem; text-align: left; }
label { display: block; margin-bottom: .4rem; font-size: .9rem; font-weight: 600; }
input {
  width: 100%; padding: .7rem .9rem; font: inherit; color: inherit; background: var(--ground);
  border: 1px solid var(--line); border-radius: .65rem;
}
button, .button {
  display: block; width: 100%; margin-top: 1rem; padding: .75rem 1rem; font: inherit; font-weight: 600;
  text-align: center; text-decoration: none; cursor: pointer; color: var(--on-accent); background: var(--accent);
  border: 0; border-radius: .65rem;
}
button:hover, .button:hover { filter: brightness(1.1); }
button:disabled { opacity: .55; cursor: default; filter: none; }
input:focus-visible, button:focus-visible, .button:focus-visible { outline: 3px solid var(--lamp); outline-offset: 2px; }
input:focus-visible { border-color: var(--accent); outline-width: 2px; outline-offset: -1px; outline-color: var(--accent); }
.note { margin-top: 1.25rem; font-size: .875rem; color: var(--soft); text-align: center; }
.problem {
  margin-top: 1.25rem; padding: .7rem .9rem; text-align: left; font-size: .925rem; color: var(--bad);
  background: var(--bad-ground); border-radius: .65rem; text-wrap: wrap;
}
.problem:empty, [hidden] { display: none !important; }
.facts {
  margin-top: 1.75rem; padding-top: 1.1rem; border-top: 1px solid var(--line); color: var(--soft);
  font: .8rem/1.6 ui-monospace, "SF Mono", Menlo, Consolas, "Liberation Mono", monospace;
}
footer { font-size: .8rem; color: var(--soft); }
.button { margin-top: 1.75rem; }
{style}</style>
</head>
<body{attributes}>
<main>
<svg class="{light}" viewBox="0 0 96 112" aria-hidden="true" focusable="false">
<defs>
<radialGradient id="light"><stop class="near" offset="0"/><stop class="far" offset="1"/></radialGradient>
<clipPath id="inside"><path d="M21 108V49a27 27 0 0 1 54 0v59z"/></clipPath>
</defs>
<path class="wall" d="M8 108V48a40 40 0 0 1 80 0v60z"/>
<path class="niche" d="M21 108V49a27 27 0 0 1 54 0v59z"/>
<g clip-path="url(#inside)"><circle class="glow" cx="48" cy="74" r="38"/></g>
<circle class="lamp" cx="48" cy="74" r="6"/>
<path class="floor" d="M2 108h92"/>
</svg>
{body}
</main>
<footer>{footer}</footer>
{script}</body>
</html>
)html";

constexpr std::string_view kWaitingStyle = R"css(
.glow { transform-origin: 48px 74px; animation: breathe 3.2s ease-in-out infinite; }
@keyframes breathe { 50% { transform: scale(1.25); opacity: .5; } }
.steps { display: flex; margin: 2rem 0 1.5rem; padding: 0; list-style: none; font-size: .825rem; color: var(--soft); }
.steps li { flex: 1; position: relative; padding-top: 1.35rem; }
.steps li::before {
  content: ""; position: absolute; top: 0; left: 50%; width: .8rem; height: .8rem; margin-left: -.4rem; z-index: 1;
  border-radius: 50%; background: var(--card); border: 2px solid var(--wall);
}
.steps li + li::after {
  content: ""; position: absolute; top: .35rem; right: 50%; width: 100%; height: 2px; background: var(--wall);
}
.steps .done::before { background: var(--accent); border-color: var(--accent); }
.steps .done + li::after { background: var(--accent); }
.steps .now { color: var(--ink); font-weight: 600; }
.steps .now::before { border-color: var(--accent); box-shadow: 0 0 0 .28rem rgb(128 160 140 / .28); }
.failed #state { margin-top: .75rem; min-height: 0; color: var(--soft); }
.failed #elapsed { display: none; }
#state { font-weight: 500; min-height: 1.55em; }
#elapsed { min-height: 1.4em; margin-top: .15rem; font-size: .875rem; color: var(--soft); font-variant-numeric: tabular-nums; }
.failed .glow, .failed .lamp { display: none; }
@media (prefers-reduced-motion: reduce) { .glow { animation: none; } }
)css";

constexpr std::string_view kWaitingBody = R"html(<h1 id="title">Getting {app} ready</h1>
<p id="lead">A place for <b><bdi>{user}</bdi></b> alone. It takes a moment.</p>
<ol class="steps" id="steps">
<li class="now">In line</li>
<li>Starting</li>
<li>Ready</li>
</ol>
<p id="state" role="status" aria-live="polite">Asking for your place.</p>
<p id="elapsed" aria-hidden="true"></p>
<p class="problem" id="reason" role="alert"></p>
<button type="button" id="retry" hidden>Try again</button>
<noscript><p class="note">This page looks again every two seconds.</p></noscript>)html";

// The page's own address is loaded again by reload() alone: it keeps the fragment, and assigning an address
// that differs in nothing but a fragment would load nothing.
constexpr std::string_view kWaitingScript = R"js(
(function () {
  'use strict';
  var body = document.body, app = body.dataset.app, url = body.dataset.events;
  var state = document.getElementById('state'), elapsed = document.getElementById('elapsed');
  var reason = document.getElementById('reason'), retry = document.getElementById('retry');
  var steps = document.getElementById('steps').children;
  var began = Date.now(), errors = 0, over = false, retryAt = 0, source = null;

  function say(text) { if (state.textContent !== text) state.textContent = text; }
  function step(current) {
    for (var i = 0; i < steps.length; i++) {
      steps[i].className = i < current ? 'done' : i === current ? 'now' : '';
      if (i === current) steps[i].setAttribute('aria-current', 'step'); else steps[i].removeAttribute('aria-current');
    }
  }
  function again() { over = true; if (source) source.close(); location.reload(); }
  function inWords(seconds) {
    if (seconds < 60) return seconds + ' s';
    var rest = seconds % 60;
    return Math.floor(seconds / 60) + ' min ' + (rest < 10 ? '0' : '') + rest + ' s';
  }
  function tick() {
    var seconds = Math.floor((Date.now() - began) / 1000);
    if (!over && seconds > 0) elapsed.textContent = inWords(seconds);
    if (!retry.hidden) {
      var left = Math.ceil((retryAt - Date.now()) / 1000);
      retry.disabled = left > 0;
      retry.textContent = left > 0 ? 'Try again in ' + inWords(left) : 'Try again';
    }
  }
  function show(news) {
    if (over && news.state !== 'ready') return;
    if (news.state === 'pending') {
      step(0);
      if (news.place === 1) say('You are next in line.');
      else if (news.place > 1) say('You are number ' + news.place + ' of ' + Math.max(news.place, news.queued || 0) + ' in line.');
      else say('Waiting for a free place.');
    } else if (news.state === 'starting') {
      step(1);
      say('Starting ' + app + ' for you.');
    } else if (news.state === 'ready') {
      step(3);
      say('Ready. Opening it now.');
      document.title = app + ' is ready';
      again();
    } else if (news.state === 'failed') {
      over = true;
      source.close();
      body.className = 'failed';
      document.getElementById('steps').hidden = true;
      document.title = document.getElementById('title').textContent = app + ' could not start';
      document.getElementById('lead').hidden = true;
      say('Here is why:');
      reason.textContent = news.reason || 'No reason was given.';
      retryAt = Date.now() + 1000 * (news.retry_in_s || 0);
      retry.hidden = false;
      tick();
    }
  }
  // The stream has failed again and again. Whatever answers at its address means that the gateway is there: then this
  // page is loaded anew. While nothing answers it stays, and asks again.
  function probe(wait) {
    if (over) return;
    var cancel = new AbortController();
    var timer = setTimeout(function () { cancel.abort(); }, 10000);
    fetch(url, { signal: cancel.signal, cache: 'no-store', headers: { Accept: 'text/event-stream' } }).then(function () {
      clearTimeout(timer);
      again();
    }, function () {
      clearTimeout(timer);
      say('The connection was lost. Trying again.');
      setTimeout(function () { probe(Math.min(wait * 2, 15000)); }, wait);
    });
  }
  function listen() {
    source = new EventSource(url);
    source.addEventListener('state', function (event) {
      var news;
      try { news = JSON.parse(event.data); } catch (e) { return; }
      errors = 0;
      show(news);
    });
    source.onerror = function () {
      if (over) return;
      errors++;
      if (errors < 4 && source.readyState !== EventSource.CLOSED) return;
      source.close();
      setTimeout(function () { probe(2000); }, 1000);
    };
  }
  retry.addEventListener('click', again);
  setInterval(tick, 250);
  listen();
})();
)js";

// The form has no action: it is sent to the address of the page, whose fragment the browser then carries on
// to the deep link.
constexpr std::string_view kSignInBody = R"html(<h1>Who is it?</h1>
<p>Enter a name, and its place opens.</p>
<p class="problem" role="alert">{problem}</p>
<form method="post">
<label for="user">Your name</label>
<input id="user" name="user" type="text" required autofocus maxlength="256" autocomplete="username" autocapitalize="none" spellcheck="false">
<input name="to" type="hidden" value="{to}">
<button>Continue</button>
</form>
<p class="note"><b>Dev sign-in</b><br>It asks for a name only and checks nothing.</p>)html";

constexpr std::string_view kAccountBody = R"html(<h1>You are signed in</h1>
<p>as <b><bdi>{user}</bdi></b></p>
<form method="post" action="/.alcove/sign-out">
<button>Sign out</button>
</form>
<p class="note">Signing out leaves what is running as it is.</p>)html";

constexpr std::string_view kSignedOutBody = R"html(<h1>You are signed out</h1>
<p>See you soon.</p>
<a class="button" href="/.alcove/sign-in">Sign in again</a>)html";

constexpr std::string_view kErrorBody = R"html(<h1>{title}</h1>
<p>{text}</p>
{button}<p class="facts">{facts}</p>)html";

using Values = std::initializer_list<std::pair<std::string_view, std::string_view>>;

// Puts each value for its {name}, in one pass: what a value contains is never taken for a name. Braces around
// anything else (style, script) stay.
std::string fill(std::string_view text, const Values& values) {
  std::string out;
  while (true) {
    const auto open = text.find('{');
    out += text.substr(0, open);
    if (open == std::string_view::npos) return out;
    text.remove_prefix(open);
    const auto close = text.find('}');
    const std::string_view name =
        close == std::string_view::npos ? std::string_view{} : text.substr(1, close - 1);
    bool found = false;
    for (const auto& [key, value] : values) {
      if (key != name) continue;
      out += value;
      text.remove_prefix(close + 1);
      found = true;
      break;
    }
    if (found) continue;
    out.push_back('{');
    text.remove_prefix(1);
  }
}

struct Parts {
  std::string_view title;  // escaped here; all the others are HTML
  std::string_view body;
  std::string_view footer = "This page is Alcove's, not the app's.";
  bool lit = true;
  std::string_view attributes;
  std::string_view head;
  std::string_view style;
  std::string_view script;
};

Page make_page(const Parts& parts) {
  Page page;
  const std::string nonce = base64url(random_bytes(16));
  std::string script;
  if (!parts.script.empty())
    script = "<script nonce=\"" + nonce + "\">" + std::string(parts.script) + "</script>\n";
  page.html = fill(kShell, {{"title", html_escape(parts.title)},
                            {"head", parts.head},
                            {"nonce", nonce},
                            {"style", parts.style},
                            {"attributes", parts.attributes},
                            {"light", parts.lit ? "lit" : "unlit"},
                            {"body", parts.body},
                            {"footer", parts.footer},
                            {"script", script}});
  page.csp = "default-src 'none'; style-src 'nonce-" + nonce + "'; script-src 'nonce-" + nonce +
             "'; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'self'";
  return page;
}

// Failures are told in fragments ("no app is called ..."), which logs join to others; a page tells them in
// sentences.
std::string sentence(std::string_view text) {
  std::string out(text);
  if (out.empty()) return out;
  if (out.front() >= 'a' && out.front() <= 'z') out.front() = static_cast<char>(out.front() - 'a' + 'A');
  if (out.back() != '.' && out.back() != '?' && out.back() != '!') out.push_back('.');
  return out;
}

bool worth_another_try(int status) {
  return status == 408 || status == 429 || status >= 500;
}

}  // namespace

Page waiting_page(std::string_view app, std::string_view user, std::string_view events_url) {
  const std::string body = fill(kWaitingBody, {{"app", html_escape(app)}, {"user", html_escape(user)}});
  const std::string attributes =
      " data-app=\"" + html_escape(app) + "\" data-events=\"" + html_escape(events_url) + "\"";
  Parts parts;
  const std::string title = "Getting " + std::string(app) + " ready";
  parts.title = title;
  parts.body = body;
  parts.attributes = attributes;
  parts.head = "<noscript><meta http-equiv=\"refresh\" content=\"2\"></noscript>\n";
  parts.style = kWaitingStyle;
  parts.script = kWaitingScript;
  return make_page(parts);
}

Page sign_in_page(std::string_view to, std::string_view problem) {
  const std::string body =
      fill(kSignInBody, {{"to", html_escape(to)}, {"problem", html_escape(sentence(problem))}});
  Parts parts;
  parts.title = "Sign in";
  parts.body = body;
  return make_page(parts);
}

Page account_page(std::string_view user) {
  const std::string body = fill(kAccountBody, {{"user", html_escape(user)}});
  Parts parts;
  parts.title = "Your account";
  parts.body = body;
  return make_page(parts);
}

Page signed_out_page() {
  Parts parts;
  parts.title = "Signed out";
  parts.body = kSignedOutBody;
  parts.lit = false;
  return make_page(parts);
}

Page error_page(int status, std::string_view title, std::string_view text, std::string_view end_code,
                std::string_view request_id) {
  std::string facts = std::to_string(status);
  if (!end_code.empty()) facts += " &middot; " + html_escape(end_code);
  if (!request_id.empty()) facts += " &middot; request " + html_escape(request_id);
  // An empty address is this page's own, so that it needs no script.
  const std::string_view button =
      worth_another_try(status) ? "<a class=\"button\" href=\"\">Try again</a>\n" : std::string_view{};
  const std::string body = fill(kErrorBody, {{"title", html_escape(title)},
                                             {"text", html_escape(sentence(text))},
                                             {"button", button},
                                             {"facts", facts}});
  Parts parts;
  parts.title = title;
  parts.body = body;
  parts.lit = false;
  return make_page(parts);
}

bool is_local_path(std::string_view to) {
  if (!to.starts_with('/') || to.starts_with("//")) return false;
  for (const char c : to) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte == 0x7f || c == '\\') return false;
  }
  return true;
}

}  // namespace alcove::proxy
