// A photograph: kept on the telephone until the server has it, and sent with progress.

const PHOTOGRAPHS = "photographs";
const HEIC = ["heic", "heix", "heim", "heis", "hevc", "hevx", "mif1", "msf1"];
const HEIC_ADVICE = "This photograph is HEIC, which is not taken here. On an iPhone choose Settings, Camera, Formats, Most Compatible; on others turn off high-efficiency pictures. Then take it again.";

// A browser that keeps nothing, as in a private tab, has to take the photograph again after a reload.
async function inKeeping(deed) {
  try {
    const opened = await new Promise((done, failed) => {
      const opening = indexedDB.open("acqplan", 1);
      opening.onupgradeneeded = () => opening.result.createObjectStore(PHOTOGRAPHS);
      opening.onsuccess = () => done(opening.result);
      opening.onerror = () => failed(opening.error);
    });
    return await new Promise((done, failed) => {
      const asked = deed(opened.transaction(PHOTOGRAPHS, "readwrite").objectStore(PHOTOGRAPHS));
      asked.onsuccess = () => done(asked.result);
      asked.onerror = () => failed(asked.error);
    }).finally(() => opened.close());
  } catch {
    return undefined;
  }
}

const keepPhotograph = (one) => inKeeping((kept) => kept.put(one, "now"));
const keptPhotograph = () => inKeeping((kept) => kept.get("now"));
const forgetPhotograph = () => inKeeping((kept) => kept.delete("now"));

async function isHeic(photo) {
  const head = new TextDecoder("latin1").decode(await photo.slice(4, 12).arrayBuffer());
  return head.startsWith("ftyp") && HEIC.includes(head.slice(4));
}

// Not by fetch, which does not say how much is sent.
function sendPhotograph(path, photo, hearShare) {
  return new Promise((done, failed) => {
    const sending = new XMLHttpRequest();
    sending.open("PUT", path);
    for (const [name, value] of Object.entries(headers({ "Content-Type": photo.type || "application/octet-stream" }))) sending.setRequestHeader(name, value);
    sending.upload.onprogress = (event) => hearShare(event.loaded / Math.max(event.total, 1));
    sending.timeout = 30000 + photo.size / 20; // milliseconds: 20 kB a second are enough
    sending.onerror = sending.ontimeout = sending.onabort = () => failed(new Error("no connection"));
    sending.onload = () => {
      const said = answerOf(sending);
      if (sending.status === 200) return done(said);
      if (sending.status === 401) $("token").hidden = false;
      failed(new Refused(sending.status, said));
    };
    sending.send(photo);
  });
}

function answerOf(sending) {
  try {
    return JSON.parse(sending.responseText);
  } catch {
    return { error: `status ${sending.status}` };
  }
}
