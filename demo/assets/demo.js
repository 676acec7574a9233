'use strict';

const at = (id) => document.getElementById(id);
const show = (id, text) => { at(id).textContent = text; };

// Deep links: the fragment never reaches a server, so only the browser can show that it was kept.
const target = at('target').textContent;
const showTarget = () => show('target', target + location.hash);
addEventListener('hashchange', showTarget);
showTarget();
show('origin', location.origin);
at('since').textContent = new Date(at('since').dateTime).toLocaleString();

const born = performance.now() - Number(at('uptime').dataset.seconds) * 1000;
const span = (seconds) => {
  const [h, m, s] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60, seconds % 60];
  return (h ? h + ' h ' : '') + (h || m ? m + ' min ' : '') + s + ' s';
};
setInterval(() => show('uptime', span(Math.floor((performance.now() - born) / 1000))), 1000);

let socket = null;
const waiting = [];
const say = (text, took) => {
  const line = document.createElement('li');
  const time = document.createElement('span');
  time.textContent = took + ' ms';
  line.append(time, text);
  at('echo-log').prepend(line);
};
const open = () => {
  socket = new WebSocket(location.origin.replace(/^http/, 'ws') + '/echo');
  show('echo-state', 'Connecting.');
  socket.onopen = () => {
    show('echo-state', 'Connected to your pod.');
    for (const message of waiting) socket.send(message.text);
  };
  socket.onmessage = (event) => {
    const message = waiting.shift();
    say(event.data, message ? (performance.now() - message.sent).toFixed(1) : '?');
  };
  socket.onclose = () => {
    socket = null;
    waiting.length = 0;
    show('echo-state', 'Closed. The next message opens it again.');
  };
};
at('echo-form').addEventListener('submit', (event) => {
  event.preventDefault();
  const text = at('echo-text').value;
  if (!text) return;
  at('echo-text').value = '';
  waiting.push({text, sent: performance.now()});
  if (!socket) open();
  else if (socket.readyState === WebSocket.OPEN) socket.send(text);
});

let clock = null;
const stop = (why) => {
  if (clock) clock.close();
  clock = null;
  show('clock-toggle', 'Start the clock');
  show('clock-state', why);
};
at('clock-toggle').addEventListener('click', () => {
  if (clock) return stop('Stopped.');
  clock = new EventSource('/clock');
  show('clock-toggle', 'Stop the clock');
  show('clock-state', 'Ticks come from your pod. While they flow, your session is in use.');
  clock.addEventListener('tick', (event) => {
    const now = JSON.parse(event.data);
    show('clock', new Date(now.now).toLocaleTimeString());
    show('requests', now.requests);
  });
  // Not reconnected: a forgotten tab must not wake the pod again and again.
  clock.onerror = () => stop('The pod has closed the stream. Start it again for a new pod.');
});
