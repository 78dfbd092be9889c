// The page in another language: texts are exchanged where they appear, by a table whose keys are the English ones.
// Nothing that a person typed is in the table, and what is marked translate="no" is left alone.
(() => {
  const chosen = localStorage.getItem('lk-language') || (navigator.language.startsWith('zh') ? 'zh-CN' : 'en');
  document.addEventListener('click', (event) => {
    const button = event.target.closest('[data-language]');
    if (!button) return;
    localStorage.setItem('lk-language', button.dataset.language);
    location.reload();
  });
  const mark = () => document.querySelectorAll('[data-language]').forEach((button) => {
    button.setAttribute('aria-pressed', String(button.dataset.language === chosen));
  });
  window.lkLanguage = chosen;
  new MutationObserver(mark).observe(document.documentElement, { childList: true, subtree: true });
  if (chosen === 'en') return;

  document.documentElement.lang = chosen;
  const attributes = ['placeholder', 'aria-label', 'title', 'alt'];
  let exact = new Map();
  let patterns = [];
  const seen = new Map();

  // Gaps that hold what somebody typed, or a name of this site: never a word of ours, whatever it reads.
  const typed = new Set(['name', 'names', 'door', 'doors', 'account', 'other', 'file', 'path', 'text', 'id', 'version']);
  const sign = /[\u3000-\u303f\uff00-\uffef]/;
  const han = /[\u3000-\u9fff\uff00-\uffef]/;
  const one = (text) => {
    if (exact.has(text)) return exact.get(text);
    for (const [pattern, words] of patterns) {
      const found = text.match(pattern);
      if (!found) continue;
      // What fills a gap may itself be a sentence of ours: a reason, a state, a refusal. Between Chinese words there is
      // no space; the table has one where a gap mostly holds a name in Latin letters.
      return words.replace(/( ?)\{(\w+)\}( ?)/g, (whole, left, gap, right, at) => {
        const value = typed.has(gap) ? found.groups[gap] : translated(found.groups[gap]);
        const before = han.test(words[at - 1] ?? '') && han.test(value[0]);
        const after = han.test(words[at + whole.length] ?? '') && han.test(value.slice(-1));
        return `${before ? '' : left}${value}${after ? '' : right}`;
      });
    }
    return null;
  };
  // Sentence by sentence; a name with a full stop in it ("J. Lima is changed.") joins what was cut too early.
  const told = (text) => {
    const parts = text.split(/(?<=[.!?:;]) (?=[A-Z`])/);
    const words = [];
    for (let first = 0; first < parts.length;) {
      let last = first + 1;
      let found = one(parts[first]);
      while (found === null && last < parts.length) found = one(parts.slice(first, ++last).join(' '));
      if (found === null) [found, last] = [parts[first], first + 1];
      words.push(found);
      first = last;
    }
    return words.reduce((left, right) => left + (han.test(left.slice(-1)) ? '' : ' ') + right);
  };
  const translated = (text) => {
    if (!seen.has(text)) {
      if (seen.size > 5000) seen.clear();
      seen.set(text, exact.get(text) ?? text.split(' \u00b7 ').map(told).join(' \u00b7 '));
    }
    return seen.get(text);
  };
  window.lkTranslated = translated;
  const change = (node) => {
    if (node.nodeType === Node.TEXT_NODE) {
      const text = node.textContent.trim().replace(/\s+/g, ' ');
      if (!text || node.parentElement?.closest('[translate="no"], script, style, textarea, time, code, pre')) return;
      const words = translated(text);
      if (words === text) return;
      // A sign of Chinese punctuation brings its own space.
      const told = node.textContent.replace(node.textContent.trim(), () => words);
      const [left, right] = [sign.test(words[0]) ? told.trimStart() : told, sign.test(words.slice(-1))];
      node.textContent = right ? left.trimEnd() : left;
    } else if (node.nodeType === Node.ELEMENT_NODE) {
      for (const name of attributes) {
        const text = node.getAttribute(name);
        if (text && translated(text) !== text) node.setAttribute(name, translated(text));
      }
      node.childNodes.forEach(change);
    }
  };
  const escaped = (text) => text.replace(/[.*+?^$()|[\]\\]/g, '\\$&');
  fetch(`/${chosen}.json`).then((answer) => answer.json()).then((table) => {
    exact = new Map(Object.entries(table).filter(([key]) => !key.includes('{')));
    // The one with the most words of its own fits best: "{name} is removed." must not take what is said more exactly.
    const own = (key) => key.replace(/\{\w+\}/g, '').length;
    patterns = Object.entries(table).filter(([key]) => key.includes('{')).sort(([a], [b]) => own(b) - own(a)).map(
      ([key, words]) => [new RegExp(`^${escaped(key).replace(/\{(\w+)\}/g, '(?<$1>.+?)')}$`), words],
    );
    // What a list has chosen is no text but a value, and only Gradio knows when it changes: something else does then too.
    const chosenOnes = () => document.querySelectorAll('input[role="combobox"]').forEach((field) => {
      if (exact.has(field.value)) field.value = exact.get(field.value);
    });
    // Whoever asked before the table was there was given English, which is not to stay.
    seen.clear();
    change(document.body);
    chosenOnes();
    new MutationObserver((changes) => {
      changes.forEach((entry) => {
        if (entry.type === 'childList') entry.addedNodes.forEach(change);
        else change(entry.target);
      });
      chosenOnes();
    }).observe(document.body, {
      childList: true, characterData: true, subtree: true, attributes: true, attributeFilter: attributes,
    });
  });
})();
