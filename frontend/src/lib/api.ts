import createClient, { type Middleware } from 'openapi-fetch'
import { refreshSession } from '@/lib/session'
import { accessToken } from '@/store/session'
import type { components, paths } from '@/types/api'

export type Schemas = components['schemas']
export type Problem = Schemas['ProblemBody']

/** An answer that is not the one asked for; `message` is a sentence for people. */
export class ApiError extends Error {
  override name = 'ApiError'
  readonly status: number
  readonly code: string
  readonly requestId: string | null
  readonly problems: Problem[]

  constructor(status: number, body: unknown) {
    const known = isErrorBody(body) ? body : null
    super(known?.detail ?? `The server answered with status ${status}.`)
    this.status = status
    this.code = known?.code ?? 'error'
    this.requestId = known?.request_id ?? null
    this.problems = known?.problems ?? []
  }
}

function isErrorBody(body: unknown): body is Schemas['ErrorResponse'] {
  return (
    typeof body === 'object' && body !== null && 'detail' in body && typeof body.detail === 'string'
  )
}

/** Sign the request; when the token has run out, refresh it and ask once more. */
const withSession: Middleware = {
  onRequest({ request }) {
    const token = accessToken()
    if (token) request.headers.set('Authorization', `Bearer ${token}`)
    // A body can be read once: keep a copy for the second try.
    retries.set(request, request.clone())
    return request
  },
  async onResponse({ request, response, schemaPath }) {
    const retry = retries.get(request)
    retries.delete(request)
    if (response.status !== 401 || !retry || schemaPath.startsWith('/api/auth/')) return response
    const token = await refreshSession()
    if (!token) return response
    retry.headers.set('Authorization', `Bearer ${token}`)
    return fetch(retry)
  },
}

const retries = new WeakMap<Request, Request>()

export const api = createClient<paths>({
  baseUrl: window.location.origin,
  // Looked up at each call, so that tests can put a fake in its place.
  fetch: (request) => globalThis.fetch(request),
})
api.use(withSession)

type Answer<T> = { data?: T; error?: unknown; response: Response }

/** The data of a call, or an ApiError. */
export async function unwrap<T>(call: Promise<Answer<T>>): Promise<T> {
  const { data, error, response } = await call
  if (!response.ok) throw new ApiError(response.status, error)
  return data as T
}

export type Page<T> = { items: T[]; nextCursor: string | null }

/** One page of a list; the cursor of the next travels in a header. */
export async function unwrapPage<T>(call: Promise<Answer<T[]>>): Promise<Page<T>> {
  const answer = await call
  if (!answer.response.ok) throw new ApiError(answer.response.status, answer.error)
  return { items: answer.data ?? [], nextCursor: answer.response.headers.get('X-Next-Cursor') }
}
