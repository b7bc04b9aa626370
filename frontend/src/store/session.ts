import { create } from 'zustand'
import type { components } from '@/types/api'

export type User = components['schemas']['UserBody']

/** The access token lives in memory only: a script of another page cannot read it from storage. */
type Session =
  | { status: 'unknown' }
  | { status: 'anonymous'; onPurpose: boolean }
  | { status: 'signed-in'; token: string; user: User }

export const useSession = create<Session>(() => ({ status: 'unknown' }))

export function signedIn(token: string, user: User): void {
  useSession.setState({ status: 'signed-in', token, user }, true)
}

/** `onPurpose` when somebody asked for it; otherwise the session has run out, and its page is worth coming back to. */
export function signedOut({ onPurpose }: { onPurpose: boolean }): void {
  useSession.setState({ status: 'anonymous', onPurpose }, true)
}

export function accessToken(): string | null {
  const session = useSession.getState()
  return session.status === 'signed-in' ? session.token : null
}

const RANKS: Record<User['role'], number> = { viewer: 0, operator: 1, editor: 2, admin: 3 }

/** True when the signed-in user's role reaches `role`. The server decides; this only hides what it would refuse. */
export function useHasRole(role: User['role']): boolean {
  return useSession(
    (session) => session.status === 'signed-in' && RANKS[session.user.role] >= RANKS[role],
  )
}
