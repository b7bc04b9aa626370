import { create } from 'zustand'

type Connection = { status: 'connecting' | 'live' | 'offline' }

/** Of the socket. `offline` only after three seconds, so that a short break is not an alarm. */
export const useConnection = create<Connection>(() => ({ status: 'connecting' }))
