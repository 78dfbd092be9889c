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

  const one = (text) => {
    if (exact.has(text)) return exact.get(text);
    for (const [pattern, words] of patterns) {
      const found = text.match(pattern);
      // What fills a gap may itself be a word of ours: a reason, a state.
      if (found) return words.replace(/\{(\w+)\}/g, (_, name) => exact.get(found.groups[name]) ?? found.groups[name]);
    }
    return null;
  };
  const translated = (text) => {
    if (!seen.has(text)) {
      const parts = text.split(/(?<=[.!?:;]) (?=[A-Z])/).map((part) => one(part) ?? part);
      if (seen.size > 5000) seen.clear();
      seen.set(text, one(text) ?? parts.join(parts.some((part) => /[\u3000-\u9fff]/.test(part)) ? '' : ' '));
    }
    return seen.get(text);
  };
  const change = (node) => {
    if (node.nodeType === Node.TEXT_NODE) {
      const text = node.textContent.trim().replace(/\s+/g, ' ');
      if (!text || node.parentElement?.closest('[translate="no"], script, style, textarea, time, code, pre')) return;
      const words = translated(text);
      if (words !== text) node.textContent = node.textContent.replace(node.textContent.trim(), () => words);
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
    patterns = Object.entries(table).filter(([key]) => key.includes('{')).map(([key, words]) => [
      new RegExp(`^${escaped(key).replace(/\{(\w+)\}/g, '(?<$1>.+?)')}$`), words,
    ]);
    change(document.body);
    new MutationObserver((changes) => changes.forEach((entry) => {
      if (entry.type === 'childList') entry.addedNodes.forEach(change);
      else change(entry.target);
    })).observe(document.body, {
      childList: true, characterData: true, subtree: true, attributes: true, attributeFilter: attributes,
    });
  });
})();
