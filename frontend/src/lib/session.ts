import { signedIn, signedOut, useSession } from '@/store/session'
import type { components } from '@/types/api'

type TokenResponse = components['schemas']['TokenResponse']

let refreshing: Promise<string | null> | null = null

/**
 * A new access token for the refresh cookie, or null when there is none left: then the session is over.
 * Callers at the same time share one request. Raises TypeError when the server cannot be reached.
 */
export function refreshSession(): Promise<string | null> {
  refreshing ??= inOneTabAtATime(requestToken).finally(() => {
    refreshing = null
  })
  return refreshing
}

/** True when somebody is signed in; asks the server the first time. */
export async function restoreSession(): Promise<boolean> {
  const { status } = useSession.getState()
  if (status !== 'unknown') return status === 'signed-in'
  return (await refreshSession()) !== null
}

export function startSession(answer: TokenResponse): void {
  signedIn(answer.access_token, answer.user)
}

/** Where to sign in so as to come back to `path` afterwards. */
export function signInPath(path: string): string {
  return path === '/' ? '/login' : `/login?next=${encodeURIComponent(path)}`
}

/** Only a path of this dashboard: `next` comes from the URL, and anybody can write a link. */
export function safeNext(next: string | null): string {
  return next?.startsWith('/') && !next.startsWith('//') && !next.includes('\\') ? next : '/'
}

async function requestToken(): Promise<string | null> {
  const response = await fetch('/api/auth/refresh', { method: 'POST' })
  if (!response.ok) {
    // A server in trouble says nothing about the session.
    if (response.status >= 500) throw new TypeError(`Refresh answered ${response.status}.`)
    signedOut({ onPurpose: false })
    return null
  }
  const answer: TokenResponse = await response.json()
  startSession(answer)
  return answer.access_token
}

/** A refresh cookie is good for one use; two tabs using the same one would look like theft. */
async function inOneTabAtATime<T>(work: () => Promise<T>): Promise<T> {
  if (!('locks' in navigator)) return work()
  return navigator.locks.request('flexiroaster.refresh', work)
}
