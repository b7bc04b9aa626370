import { Icon } from '@/components/icon'
import { cn } from '@/lib/cn'
import { useConnection } from '@/store/connection'

export function OfflineBanner() {
  const offline = useConnection(({ status }) => status === 'offline')
  return (
    <div role="status">
      {offline && (
        <p className="flex items-center gap-2 bg-state-retrying-tint px-6 py-2 font-medium text-state-retrying max-tablet:px-3.5">
          <Icon name="warning" />
          No live connection. What you see may be old; it catches up by itself.
        </p>
      )}
    </div>
  )
}

const WORDS = { connecting: 'Connecting', live: 'Live', offline: 'Offline' } as const

/** The state of the socket, in a word. */
export function LiveIndicator({ className }: { className?: string }) {
  const status = useConnection((connection) => connection.status)
  return (
    <span
      className={cn(
        'inline-flex items-center gap-1.5 text-small text-secondary-foreground',
        className,
      )}
    >
      <span
        aria-hidden="true"
        className={cn(
          'size-2 rounded-full',
          status === 'live' && 'bg-state-success',
          status === 'connecting' && 'border border-muted-foreground',
          status === 'offline' && 'bg-state-retrying-fill',
        )}
      />
      {WORDS[status]}
    </span>
  )
}
