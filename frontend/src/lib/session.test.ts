import { HttpResponse, http } from 'msw'
import { describe, expect, it } from 'vitest'
import { ApiError, api, unwrap } from '@/lib/api'
import { refreshSession, restoreSession, safeNext, signInPath } from '@/lib/session'
import { signedIn, useSession } from '@/store/session'
import { tokenResponse } from '@/test/factories'
import { server } from '@/test/server'

const { user } = tokenResponse()

function answerRefresh(token: string | null) {
  let calls = 0
  server.use(
    http.post('*/api/auth/refresh', () => {
      calls += 1
      return token === null
        ? HttpResponse.json({ detail: 'Sign in.', code: 'unauthenticated' }, { status: 401 })
        : HttpResponse.json({ ...tokenResponse(), access_token: token })
    }),
  )
  return () => calls
}

describe('the session', () => {
  it('asks for one token, however many need it', async () => {
    const calls = answerRefresh('fresh')
    expect(await Promise.all([refreshSession(), refreshSession(), restoreSession()])).toEqual([
      'fresh',
      'fresh',
      true,
    ])
    expect(calls()).toBe(1)
  })

  it('is over when the cookie is refused, but not when the server is in trouble', async () => {
    signedIn('old', user)
    server.use(http.post('*/api/auth/refresh', () => new HttpResponse(null, { status: 503 })))
    await expect(refreshSession()).rejects.toThrow(TypeError)
    expect(useSession.getState().status).toBe('signed-in')
    answerRefresh(null)
    expect(await refreshSession()).toBeNull()
    expect(useSession.getState().status).toBe('anonymous')
  })
})

describe('an API call', () => {
  it('goes through with a new token when the old one has run out', async () => {
    signedIn('old', user)
    answerRefresh('fresh')
    const bodies: unknown[] = []
    server.use(
      http.post('*/api/pipelines/:id/execute', async ({ request }) => {
        bodies.push(await request.json())
        return request.headers.get('Authorization') === 'Bearer fresh'
          ? HttpResponse.json({ execution_id: 'e1' }, { status: 202 })
          : HttpResponse.json({ detail: 'Expired.', code: 'token_expired' }, { status: 401 })
      }),
    )
    const answer = await unwrap(
      api.POST('/api/pipelines/{pipeline_id}/execute', {
        params: { path: { pipeline_id: 'orders' } },
        body: { inputs: { day: '2026-03-04' } },
      }),
    )
    expect(answer.execution_id).toBe('e1')
    expect(bodies).toEqual([{ inputs: { day: '2026-03-04' } }, { inputs: { day: '2026-03-04' } }])
  })

  it('fails with the sentence and the request id of the server', async () => {
    server.use(
      http.get('*/api/metrics', () =>
        HttpResponse.json(
          { detail: 'Your role does not allow it.', code: 'forbidden', request_id: 'r7' },
          { status: 403 },
        ),
      ),
    )
    const error = await unwrap(api.GET('/api/metrics')).catch((failure: unknown) => failure)
    expect(error).toBeInstanceOf(ApiError)
    expect(error).toMatchObject({
      message: 'Your role does not allow it.',
      status: 403,
      code: 'forbidden',
      requestId: 'r7',
    })
  })
})

describe('coming back after sign-in', () => {
  it('keeps the page and what was chosen on it', () => {
    expect(signInPath('/executions?state=failed')).toBe(
      '/login?next=%2Fexecutions%3Fstate%3Dfailed',
    )
    expect(safeNext('/executions?state=failed')).toBe('/executions?state=failed')
  })

  it.each(['//evil.example', 'https://evil.example', '/\\evil.example', null])(
    'does not follow %j',
    (next) => {
      expect(safeNext(next)).toBe('/')
    },
  )
})
