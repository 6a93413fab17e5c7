// The first tier: a page of photos for a browser. BACKEND_URL is the photo API; DATASTORE_URL is
// what this tier must not reach, which GET /try-datastore puts to the test.
import { ask } from './outgoing.ts';
import { HttpError, runWebService, type WebAnswer, type WebRequest } from './web-service.ts';

const BACKEND_URL = process.env.BACKEND_URL ?? 'http://photo-backend.photo-ns';
const DATASTORE_URL = process.env.DATASTORE_URL ?? 'http://datastore.datastore-ns';

const STYLE = `
  body { font: 16px/1.5 system-ui, sans-serif; max-width: 72rem; margin: 3rem auto; padding: 0 1rem }
  main { display: grid; grid-template-columns: repeat(auto-fill, minmax(18rem, 1fr)); gap: 1.5rem }
  figure { margin: 0 } img { width: 100%; height: auto; border-radius: .5rem } figcaption { color: #555 }
`;

/** Photos as the backend gives them. */
interface Photo {
  readonly id: number;
  readonly caption: string;
}

function escapeHtml(text: string): string {
  const entities: Record<string, string> = {
    '&': 'amp',
    '<': 'lt',
    '>': 'gt',
    '"': 'quot',
    "'": '#39',
  };
  return text.replaceAll(/[&<>"']/g, (letter) => `&${entities[letter]};`);
}

async function backend(path: string): Promise<unknown> {
  const answer = await ask(`${BACKEND_URL}${path}`).catch((error: unknown) => {
    throw new HttpError(502, `the backend does not answer: ${String(error)}`);
  });
  if (answer.status === 404) throw new HttpError(404, 'there is no such photo');
  if (answer.status !== 200)
    throw new HttpError(502, `the backend answered ${answer.status}: ${answer.body}`);
  return JSON.parse(answer.body);
}

async function page(): Promise<string> {
  const photos = (await backend('/photos')) as Photo[];
  const figures = photos.map(({ id, caption }) => {
    const text = escapeHtml(caption);
    return `<figure><img src="/photos/${Number(id)}.svg" alt="${text}"><figcaption>${text}</figcaption></figure>`;
  });
  return `<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><title>Photos</title><style>${STYLE}</style></head>
<body><h1>Photos</h1><main>${figures.join('\n')}</main></body>
</html>
`;
}

/**
 * What this tier gets when it asks the datastore itself: in the mesh the refusal of the datastore's
 * Envoy.
 */
async function tryDatastore(): Promise<unknown> {
  const asked = `${DATASTORE_URL}/photos`;
  return ask(asked).then(
    ({ status, body }) => ({ asked, status, body }),
    (error: unknown) => ({ asked, error: String(error) }),
  );
}

async function handle({ method, path }: WebRequest): Promise<WebAnswer> {
  if (method !== 'GET') throw new HttpError(405, 'this page is only for looking');
  if (path === '/') return { status: 200, body: await page() };
  if (path === '/try-datastore') return { status: 200, body: await tryDatastore() };
  const id = /^\/photos\/(\d+)\.svg$/.exec(path)?.[1];
  if (!id) throw new HttpError(404, `there is nothing at ${path}`);
  const { svg } = (await backend(`/photos/${id}`)) as { svg: string };
  return { status: 200, body: svg, contentType: 'image/svg+xml' };
}

runWebService({ name: 'photo-frontend', handle });
