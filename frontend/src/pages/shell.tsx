import { useQuery } from '@tanstack/react-query'
import { AppShell } from '@/components/app-shell'
import { COUNTED_AT_MOST, forMeQuery } from '@/features/approvals/api'
import { DrainBanner } from '@/features/server/drain-banner'
import { useHasRole } from '@/store/session'

/** Pages that hear of approvals renew the count themselves, and at once. */
const COUNT_EVERY_MS = 60_000

/** The frame of every page, with what it shows of the server: how much waits for you, and whether it is draining. */
export function Shell() {
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
