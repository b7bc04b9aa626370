import { useQuery, useQueryClient } from '@tanstack/react-query'
import { useEffect } from 'react'
import { AppShell } from '@/components/app-shell'
import { COUNTED_AT_MOST, forMeQuery } from '@/features/approvals/api'
import { DrainBanner } from '@/features/server/drain-banner'
import { useConnection } from '@/store/connection'
import { useHasRole } from '@/store/session'

/** Pages that hear of approvals renew the count themselves, and at once. */
const COUNT_EVERY_MS = 60_000

/** The frame of every page, with what it shows of the server: how much waits for you, and whether it is draining. */
export function Shell() {
  useTryAgainWhenLive()
  const decides = useHasRole('operator')
  const forMe = useQuery({ ...forMeQuery, enabled: decides, refetchInterval: COUNT_EVERY_MS })
  const waiting = forMe.data?.length ?? 0
  const text = waiting >= COUNTED_AT_MOST ? `${COUNTED_AT_MOST - 1}+` : String(waiting)
  return (
    <AppShell
      counts={waiting > 0 ? { '/approvals': { text, meaning: 'waiting for you' } } : {}}
      banner={<DrainBanner />}
    />
  )
}

/** What could not be loaded while the server was away is asked for again as soon as it is back. */
function useTryAgainWhenLive(): void {
  const client = useQueryClient()
  useEffect(
    () =>
      useConnection.subscribe((now, before) => {
        if (now.status !== 'live' || before.status === 'live') return
        void client.refetchQueries({
          type: 'active',
          predicate: ({ state }) => state.status === 'error',
        })
      }),
    [client],
  )
}
