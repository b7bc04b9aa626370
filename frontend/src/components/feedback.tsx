import type { ReactNode } from 'react'
import { Icon, type IconName } from '@/components/icon'
import { Button } from '@/components/ui/button'
import { ApiError } from '@/lib/api'
import { cn } from '@/lib/cn'

type EmptyStateProps = { icon: IconName; title: string; children?: ReactNode; action?: ReactNode }

/** One sentence and one action. */
export function EmptyState({ icon, title, children, action }: EmptyStateProps) {
  return (
    <div className="flex flex-col items-center gap-2 px-6 py-10 text-center">
      <Icon name={icon} className="size-6 text-muted-foreground" />
      <p className="text-strong font-semibold">{title}</p>
      {children && <p className="max-w-[52ch] text-muted-foreground">{children}</p>}
      {action && <div className="mt-2 flex flex-wrap justify-center gap-2">{action}</div>}
    </div>
  )
}

type ErrorPanelProps = {
  error: Error
  what: string
  onRetry?: (() => void) | undefined
  className?: string
}

/** What failed, why, the request's id for the server's log, and a way on. Stays inside its own panel. */
export function ErrorPanel({ error, what, onRetry, className }: ErrorPanelProps) {
  const requestId = error instanceof ApiError ? error.requestId : null
  return (
    <div role="alert" className={cn('flex flex-wrap items-center gap-3 p-4', className)}>
      <Icon name="cross" className="text-state-failed" />
      <div className="min-w-0 flex-1">
        <p className="font-semibold">{what} could not be loaded</p>
        <p className="wrap-text text-small text-muted-foreground">
          {explain(error)}
          {requestId && <span className="mono"> (request {requestId})</span>}
        </p>
      </div>
      {onRetry && (
        <Button size="small" onClick={onRetry}>
          <Icon name="retry" className="size-3.5" />
          Try again
        </Button>
      )}
    </div>
  )
}

/** An error in a sentence; a failed fetch says nothing useful by itself. */
export function explain(error: Error): string {
  return error instanceof TypeError ? 'The server cannot be reached.' : error.message
}

/** Beside the control whose action failed. */
export function InlineError({ children }: { children: ReactNode }) {
  return (
    <p role="alert" className="flex items-start gap-1.5 text-small text-state-failed">
      <Icon name="cross" className="mt-0.5 size-3.5" />
      <span className="wrap-text">{children}</span>
    </p>
  )
}
