import { useQuery } from '@tanstack/react-query'
import { Link } from 'react-router'
import { Icon } from '@/components/icon'
import { healthQuery } from '@/features/server/api'

/** On every page, while the server runs out of work: nothing new begins before it is started again. */
export function DrainBanner() {
  const health = useQuery(healthQuery)
  const draining = health.data?.status === 'draining'
  return (
    <div role="status">
      {draining && (
        <p className="flex flex-wrap items-center gap-x-2 gap-y-1 bg-state-retrying-tint px-6 py-2 font-medium text-state-retrying max-tablet:px-3.5">
          <Icon name="warning" />
          <span>The server is draining: it takes no more work until it is started again.</span>
          <Link to="/settings/server" className="underline">
            What still runs
          </Link>
        </p>
      )}
    </div>
  )
}
