#include "apps/guestbook/page.hpp"

namespace guestbook {

const char* const page = R"html(<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Guestbook</title>
<link rel="icon" href="data:,">
<style>
:root { color-scheme: light dark; --ink: #1c1e21; --dim: #667; --line: #d8dce3; --back: #f6f7f9;
  --card: #fff; --mark: #5b3df5; --good: #0a7d43; --warn: #8a5300; --bad: #b3261e;
  --a: #5b3df5; --b: #0f9d9d; --c: #e08a00; }
@media (prefers-color-scheme: dark) { :root { --ink: #e7e9ee; --dim: #99a; --line: #343a46;
  --back: #14161b; --card: #1d2027; --mark: #9d8bff; --good: #4ccf8c; --warn: #f0b450;
  --bad: #ff8a80; --a: #9d8bff; } }
* { box-sizing: border-box; }
body { margin: 0; font: 16px/1.5 system-ui, sans-serif; color: var(--ink);
  background: var(--back); }
main { max-width: 60rem; margin: 0 auto; padding: 1.2rem; display: grid; gap: 1rem;
  grid-template-columns: minmax(0, 3fr) minmax(0, 2fr); }
header { grid-column: 1 / -1; }
h1 { font-size: 1.5rem; margin: 0; }
h2 { font-size: 1rem; margin: 0 0 .6rem; }
p { margin: .2rem 0; color: var(--dim); }
b { color: var(--ink); }
section { background: var(--card); border: 1px solid var(--line); border-radius: .7rem;
  padding: 1rem; align-self: start; }
form { display: grid; gap: .5rem; }
form p:empty, #notice:empty { display: none; }
input, textarea, button { font: inherit; padding: .5rem .7rem; border-radius: .5rem;
  border: 1px solid var(--line); background: var(--back); color: var(--ink); width: 100%; }
button { background: var(--mark); border-color: var(--mark); color: var(--card); cursor: pointer; }
button:disabled { opacity: .6; cursor: wait; }
ul { list-style: none; margin: 0; padding: 0; }
li { padding: .5rem 0; border-top: 1px solid var(--line); overflow-wrap: anywhere; }
small { color: var(--dim); }
.tag { border: 1px solid var(--line); border-radius: 1rem; padding: 0 .5rem; font-size: .8rem; }
.primary { color: var(--card); background: var(--mark); border-color: var(--mark); }
.bad { color: var(--bad); } .warn { color: var(--warn); } .good { color: var(--good); }
.tag.bad { border-color: var(--bad); }
.bar { display: flex; height: .8rem; border-radius: .4rem; overflow: hidden; margin: .5rem 0;
  background: var(--line); }
.bar i { display: block; flex: 0 1 2px; } .a { background: var(--a); } .b { background: var(--b); }
.c { background: var(--c); }
.dot { display: inline-block; width: .7rem; height: .7rem; border-radius: 50%; }
.column { display: grid; gap: 1rem; align-content: start; }
li:first-child { border-top: 0; padding-top: 0; } li:last-child { padding-bottom: 0; }
.stale { opacity: .5; } .stale .empty { display: none; }
@media (max-width: 44rem) {
  main { grid-template-columns: minmax(0, 1fr); padding: .8rem; }
  .column { display: contents; }
  .entries { order: 1; }
}
</style>
</head>
<body>
<main>
<header>
  <h1>Guestbook</h1>
  <p id="where" aria-live="polite">asking the node ...</p>
</header>
<div class="column">
<section>
  <form id="form">
    <label><small>Name</small><input name="author" maxlength="80" required value="guest"></label>
    <label><small>Message</small><textarea name="text" rows="2" maxlength="2000"
      required></textarea></label>
    <button>Write</button>
    <p id="outcome" role="status"></p>
  </form>
</section>
<section class="entries">
  <h2>Entries</h2>
  <p id="notice" role="status"></p>
  <ul id="entries"></ul>
</section>
</div>
<aside class="column">
  <section><h2>Last write from this page</h2><div id="timing"><p>None yet.</p></div></section>
  <section><h2>Members</h2><ul id="members"></ul></section>
</aside>
</main>
<script>
const $ = id => document.getElementById(id);
const make = (tag, text, cls) => {
  const e = document.createElement(tag);
  if (text !== undefined) e.textContent = text;
  if (cls) e.className = cls;
  return e;
};
const ms = us => us < 10000 ? (us / 1000).toFixed(2) + ' ms'
  : us < 1e6 ? (us / 1000).toFixed(0) + ' ms' : (us / 1e6).toFixed(us < 10e6 ? 1 : 0) + ' s';
const states = {self: 'this node', alive: 'alive', suspect: 'silent', gone: 'gone'};
const roles = {none: 'no database', unknown: 'database not asked yet',
  unreachable: 'database unreachable'};
// libpq's advice is for whoever runs the server.
const brief = text => text.replace(/\s*\tIs the server running on[^?]*\?/g, '');
const fill = (list, items) => list.replaceChildren(...items);

function show_entries(entries) {
  if (entries.length === 0)
    return fill($('entries'), [make('li', 'Nobody has written yet.', 'empty')]);
  fill($('entries'), entries.map(e => {
    const li = make('li');
    li.append(make('b', e.author), ' ', make('span', e.region, 'tag'), make('br'), e.text,
      make('br'), make('small', e.created + ' UTC'));
    return li;
  }));
}
// Members that this page has seen and that are no longer there, where nobody has taken their place.
const seen = new Map();
function with_those_gone(members) {
  const now = Date.now();
  for (const m of members)
    if (m.state !== 'suspect' || !seen.has(m.id)) seen.set(m.id, {...m, at: now});
  for (const [id, m] of seen)
    if (now - m.at > 600e3) seen.delete(id);
  const regions = new Set(members.map(m => m.region));
  const gone = [...seen.values()].filter(m => !regions.has(m.region));
  return [...members, ...gone.map(m => ({...m, state: 'gone', role: '', reason: '',
    ago: now - m.at}))].sort((a, b) => a.region < b.region ? -1 : a.region > b.region ? 1 : 0);
}
function place_of(m, has_primary) {
  if (m.state === 'gone') return 'last seen ' + ms(m.ago * 1000) + ' ago';
  if (m.reason) return brief(m.reason);
  if (!m.lsn) return '';
  const lag = m.role !== 'replica' || m.lag_us < 0 || !has_primary ? ''
    : m.lag_us === 0 ? ', up to date' : ', ' + ms(m.lag_us) + ' behind';
  return 'at ' + m.lsn + lag;
}
function show_status(s) {
  const has_primary = s.primaries.length > 0;
  $('where').replaceChildren('Served by ', make('b', s.node), ' in ', make('b', s.region), '. ',
    ...(has_primary ? ['Writes go to ', make('b', s.primary_region), '.']
      : [make('span', 'No primary answers: nobody can write.', 'bad')]));
  fill($('members'), with_those_gone(s.members).map(m => {
    const li = make('li');
    const bad = m.state === 'suspect' || m.state === 'gone';
    const leads = s.primaries.includes(m.id);
    const role = m.role === 'primary' && !leads ? 'not the primary' : roles[m.role] || m.role;
    const mark = leads ? 'tag primary' : m.role === 'unreachable' ? 'tag bad' : 'tag';
    li.append(make('b', m.region), ' ', ...(role ? [make('span', role, mark), ' '] : []),
      make('span', states[m.state] || m.state, bad ? 'bad' : 'good'), make('br'),
      make('small', m.id), ' ', make('small', place_of(m, has_primary),
        m.reason || bad ? 'bad' : ''));
    return li;
  }));
}
function show_timing(t, visible) {
  const all = t.to_primary_us + t.in_transaction_us + t.until_visible_us || 1;
  const parts = [['a', 'to the primary and back', t.to_primary_us],
    ['b', 'in the transaction', t.in_transaction_us],
    ['c', visible ? 'until readable here' : 'waited in vain for this region', t.until_visible_us]];
  const bar = make('div', undefined, 'bar');
  const list = make('ul');
  for (const [cls, text, us] of parts) {
    const part = make('i', undefined, cls);
    part.style.flexGrow = us / all;
    bar.append(part);
    const li = make('li');
    li.append(make('span', undefined, 'dot ' + cls), ' ' + text + ': ', make('b', ms(us)));
    list.append(li);
  }
  $('timing').replaceChildren(make('b', ms(all) + ' in all'), bar, list);
}
// What is shown may be old.
function stale(members, entries) {
  $('members').className = members ? 'stale' : '';
  $('entries').className = entries ? 'stale' : '';
}
async function refresh() {
  try {
    const [entries, status] = await Promise.all([fetch('/entries'), fetch('/status')]);
    const body = await entries.json();
    show_status(await status.json());
    if (entries.ok) show_entries(body);
    $('notice').replaceChildren(...(entries.ok ? []
      : [make('span', 'The database of this region does not answer: '
        + brief(body.error), 'bad')]));
    stale(false, !entries.ok);
  } catch (e) {
    $('where').replaceChildren(make('span', 'This node does not answer.', 'bad'));
    $('notice').replaceChildren();
    stale(true, true);
  }
}
$('form').addEventListener('submit', async event => {
  event.preventDefault();
  const form = event.target, button = form.querySelector('button');
  button.disabled = true;
  try {
    const answer = await fetch('/entries', {method: 'POST',
      headers: {'Content-Type': 'application/json'},
      body: JSON.stringify({author: form.author.value, text: form.text.value})}).catch(() => null);
    const body = answer ? await answer.json()
      : {effect: 'unknown', error: 'the node did not answer'};
    if (!answer?.ok) throw new Error(({'nothing ran': 'Not written: ', unknown: 'Perhaps written: '}
      [body.effect] || '') + brief(body.error));
    form.text.value = '';
    show_timing(body.timing, body.visible);
    $('outcome').replaceChildren(body.visible ? make('span', 'Written, and readable here.', 'good')
      : make('span', 'Written; this region reads it later.', 'warn'));
  } catch (e) {
    $('outcome').replaceChildren(make('span', e.message, 'bad'));
  }
  button.disabled = false;
  refresh();
});
refresh();
setInterval(refresh, 1000);
</script>
</body>
</html>
)html";

} // namespace guestbook
