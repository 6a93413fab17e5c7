// The second tier: the photo API. It keeps nothing; DATASTORE_URL is where the photos are.
import { ask } from './outgoing.ts';
import { HttpError, runWebService, type WebAnswer, type WebRequest } from './web-service.ts';

const DATASTORE_URL = process.env.DATASTORE_URL ?? 'http://datastore.datastore-ns';

/** Photos as the datastore keeps them. */
interface Photo {
  readonly id: number;
  readonly title: string;
  readonly author: string;
}

/** Asks the datastore; its refusal of a request is passed on, any other trouble is a 502. */
async function datastore(path: string, method: string, body?: unknown): Promise<unknown> {
  const answer = await ask(`${DATASTORE_URL}${path}`, method, body).catch((error: unknown) => {
    throw new HttpError(502, `the datastore does not answer: ${String(error)}`);
  });
  if (answer.status === 400 || answer.status === 404)
    throw new HttpError(answer.status, answer.body);
  if (answer.status >= 300)
    throw new HttpError(502, `the datastore answered ${answer.status}: ${answer.body}`);
  return JSON.parse(answer.body);
}

async function handle({ method, path, body }: WebRequest): Promise<WebAnswer> {
  if (path === '/photos' && method === 'GET') {
    const photos = (await datastore('/photos', 'GET')) as Photo[];
    const captioned = photos.map((photo) => ({
      ...photo,
      caption: `${photo.title}, by ${photo.author}`,
    }));
    return { status: 200, body: captioned };
  }
  if (path === '/photos' && method === 'POST') {
    let photo: unknown;
    try {
      photo = JSON.parse(body);
    } catch {
      throw new HttpError(400, 'the body is no JSON');
    }
    return { status: 201, body: await datastore('/photos', 'POST', photo) };
  }
  if (/^\/photos\/\d+$/.test(path) && method === 'GET')
    return { status: 200, body: await datastore(path, 'GET') };
  throw new HttpError(404, `there is nothing at ${method} ${path}`);
}

runWebService({ name: 'photo-backend', handle });
