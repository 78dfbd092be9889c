// Neither a session that is over nor a page that was away may cost what somebody has typed. A strip at the foot of the
// page says what to do, until the next answer that comes.
(() => {
  const AWAY = 'The page cannot be reached. What you typed stays here: try again when it is back.';
  const plain = window.fetch;
  const link = (words, address, target) => {
    const made = document.createElement('a');
    Object.assign(made, { href: address, target, textContent: words });
    return made;
  };
  const STAYS = ['new', 'lost'];
  let sent = 0;
  let toldAt = 0;
  const tell = (kind, ...words) => {
    const told = document.getElementById('lk-over');
    if (told?.dataset.kind === kind || STAYS.includes(told?.dataset.kind)) return;
    told?.remove();
    if (!kind) return;
    const strip = document.createElement('div');
    Object.assign(strip, { id: 'lk-over', role: 'alert' });
    strip.dataset.kind = kind;
    strip.append(...words);
    document.body.append(strip);
    toldAt = sent;
  };
  // Which button has which number at the server: it refuses a tab that is older than itself (build.py).
  const build = plain('/build').then((answer) => answer.json()).then((told) => told.build).catch(() => '');

  window.fetch = async (asked, settings = {}) => {
    const address = new URL(asked?.url ?? asked, window.location.href).pathname;
    const sends = settings.method === 'POST' && address.includes('/gradio_api/');
    const headers = new Headers(settings.headers);
    sent += 1;
    const number = sent;
    if (sends) headers.set('X-Latchkey-Build', await build);
    let answer;
    try {
      answer = await plain(asked, sends ? { ...settings, headers } : settings);
    } catch (error) {
      if (error.name === 'AbortError') throw error;
      tell('away', AWAY);
      if (!sends) throw error;
      // Gradio gives a tab up that has no answer at all, and reloads it when the page is back.
      return new Response(JSON.stringify({ detail: AWAY, error: AWAY }), {
        status: 503, headers: { 'Content-Type': 'application/json' },
      });
    }
    if (answer.status === 401) {
      tell('over', 'Your session is over. What you typed stays here: ',
        link('log in again in a new tab', '/login', '_blank'), ', then go on.');
    } else if (answer.status === 409) {
      tell('new', 'The page was renewed. Copy what you typed, then ', link('reload it', '', ''), '.');
    } else if (answer.ok && address.endsWith('/app_id')) {
      // It has given this tab up: the page went in the middle of an answer. Somebody else than Gradio reloads it.
      tell('');
      tell('lost', 'The page was away. Copy what you typed, then ', link('reload it', '', ''), '.');
      throw new TypeError('The tab stays as it is.');
    } else if (answer.ok && number > toldAt) {
      // What was asked before the strip came up says nothing about now.
      tell('');
    }
    return answer;
  };
})();
