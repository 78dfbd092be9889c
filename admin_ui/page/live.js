// What the webcam sees is marked while it looks: a small picture goes to this page's own server, whose answer (box,
// five points, what is wrong) is drawn over the video. One picture is under way at a time, and none is kept.
(() => {
  const SIDE = 640;
  const EVERY_MS = 250;
  // After an answer: the server takes no two of one account within 150 ms of it, and a busy one answers late.
  const LEAST_MS = 160;
  const WAIT_MS = 1000;
  const pause = (ms) => new Promise((done) => { setTimeout(done, ms); });
  const watched = new WeakSet();

  const picture = (video, small) => {
    const shrink = Math.min(1, SIDE / Math.max(video.videoWidth, video.videoHeight));
    small.width = Math.round(video.videoWidth * shrink);
    small.height = Math.round(video.videoHeight * shrink);
    small.getContext('2d').drawImage(video, 0, 0, small.width, small.height);
    return new Promise((done) => { small.toBlob(done, 'image/jpeg', 0.8); });
  };

  // The canvas lies on the video's own place, and shows its picture's part of it: a video is fitted, not stretched.
  const place = (video, over) => {
    const box = video.getBoundingClientRect();
    const around = over.parentElement.getBoundingClientRect();
    const fit = getComputedStyle(video).objectFit === 'cover' ? Math.max : Math.min;
    const scale = fit(box.width / video.videoWidth, box.height / video.videoHeight);
    const [width, height] = [video.videoWidth * scale, video.videoHeight * scale];
    over.width = box.width;
    over.height = box.height;
    Object.assign(over.style, { left: `${box.left - around.left}px`, top: `${box.top - around.top}px` });
    return { scale, left: (box.width - width) / 2, top: (box.height - height) / 2 };
  };

  const draw = (video, over, found) => {
    const { scale, left, top } = place(video, over);
    const pen = over.getContext('2d');
    const styles = getComputedStyle(over);
    const grown = scale * video.videoWidth / found.width;
    pen.lineWidth = 3;
    pen.strokeStyle = styles.getPropertyValue(found.good ? '--lk-live-good' : '--lk-live-bad');
    pen.fillStyle = pen.strokeStyle;
    if (found.box) {
      const [x, y, width, height] = found.box.map((value) => value * grown);
      pen.strokeRect(left + x, top + y, width, height);
    }
    found.landmarks.forEach(([x, y]) => {
      pen.beginPath();
      pen.arc(left + x * grown, top + y * grown, 3.5, 0, 2 * Math.PI);
      pen.fill();
    });
    over.dataset.points = String(found.landmarks.length);
  };

  const say = (told, sentence, good) => {
    told.className = `lk-live-told ${good ? 'lk-good' : 'lk-bad'}`;
    told.hidden = !sentence;
    // By the English sentence, not by what is shown: the page may have put it into another language.
    if (told.dataset.said === sentence) return;
    told.dataset.said = sentence;
    told.textContent = sentence;
  };

  const watch = async (video) => {
    watched.add(video);
    const around = video.parentElement;
    around.classList.add('lk-live-around');
    const over = document.createElement('canvas');
    over.className = 'lk-live';
    over.setAttribute('aria-hidden', 'true');
    const told = document.createElement('p');
    told.setAttribute('role', 'status');
    around.append(over, told);
    say(told, '', true);
    const small = document.createElement('canvas');
    const clear = () => { over.width = 0; over.dataset.points = '0'; say(told, '', true); };
    while (video.isConnected) {
      const live = !document.hidden && video.srcObject?.active && video.videoWidth > 0 && video.offsetParent !== null;
      let wait = EVERY_MS;
      if (!live) {
        clear();
      } else {
        const began = performance.now();
        try {
          const jpeg = await picture(video, small);
          const answer = await fetch(`/glance?of=${video.videoWidth}`, {
            method: 'POST', body: jpeg, headers: { 'Content-Type': 'image/jpeg' },
          });
          const found = await answer.json();
          if (answer.ok) {
            draw(video, over, found);
            say(told, found.sentence, found.good);
          } else if (answer.status !== 429) {
            clear();
            say(told, found.detail, false);
          }
          wait = answer.ok ? Math.max(LEAST_MS, EVERY_MS - (performance.now() - began)) : WAIT_MS;
        } catch {
          // No answer: the server is away for a moment. The photo can be taken all the same.
          clear();
          wait = WAIT_MS;
        }
      }
      await pause(wait);
    }
    over.remove();
    told.remove();
  };

  const find = () => document.querySelectorAll('.lk-photo video').forEach((video) => {
    if (!watched.has(video)) watch(video);
  });
  new MutationObserver(find).observe(document.documentElement, { childList: true, subtree: true });
})();
