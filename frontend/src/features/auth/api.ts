import { queryOptions } from '@tanstack/react-query'
import { api, type Schemas, unwrap } from '@/lib/api'

export const setupStateQuery = queryOptions({
  queryKey: ['setup'],
  queryFn: () => unwrap(api.GET('/api/auth/setup')),
})

/** The OAuth2 password form, which the API takes url-encoded. */
export function signIn(email: string, password: string): Promise<Schemas['TokenResponse']> {
  return unwrap(
    api.POST('/api/auth/login', {
      body: { username: email, password, scope: '' },
      headers: { 'Content-Type': 'application/x-www-form-urlencoded' },
    }),
  )
}

export function createFirstAccount(
  request: Schemas['SetupRequest'],
): Promise<Schemas['TokenResponse']> {
  return unwrap(api.POST('/api/auth/setup', { body: request }))
}
