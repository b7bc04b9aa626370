import { useQuery } from '@tanstack/react-query'
import { type ReactNode, useState } from 'react'
import { ErrorPanel } from '@/components/feedback'
import { Icon } from '@/components/icon'
import { Button } from '@/components/ui/button'
import { Card, CardHeader } from '@/components/ui/card'
import { ConfirmDialog } from '@/components/ui/confirm-dialog'
import { Field, Input } from '@/components/ui/field'
import { SkeletonRows } from '@/components/ui/skeleton'
import { drainQuery, useDrain } from '@/features/server/api'
import type { Schemas } from '@/lib/api'
import { plural } from '@/lib/format'
import { useHasRole } from '@/store/session'

type State = Schemas['DrainBody']['state']

const HEADLINES: Record<State, string> = {
  working: 'Takes work',
  draining: 'Draining',
  drained: 'Drained',
}

const EXPLANATIONS: Record<State, string> = {
  working: 'What is ready is run here.',
  draining: 'It takes no more work. What runs goes on to its end, or until the grace is over.',
  drained: 'Nothing runs any more. What waits goes on after a restart.',
}

type DrainCardProps = {
  /** The executions that are under way. */
  children: ReactNode
}

/** Whether the server takes work, what still runs, and for an administrator the way to empty it. */
export function DrainCard({ children }: DrainCardProps) {
  const drain = useQuery(drainQuery)
  const mayDrain = useHasRole('admin')
  if (!drain.data) {
    return (
      <Card>
        {drain.error ? (
          <ErrorPanel
            error={drain.error}
            what="The server's state"
            onRetry={() => void drain.refetch()}
          />
        ) : (
          <SkeletonRows rows={3} label="Loading the server's state" />
        )}
      </Card>
    )
  }
  const { state, running } = drain.data
  return (
    <Card aria-label="Work">
      <CardHeader
        title={
          <span className="flex items-center gap-2">
            <Icon
              name={state === 'working' ? 'tick' : 'warning'}
              className={state === 'working' ? 'text-state-success' : 'text-state-retrying'}
            />
            {HEADLINES[state]}
          </span>
        }
        end={mayDrain && state === 'working' && <DrainButton running={running} />}
      >
        <span className="text-small text-muted-foreground">
          {plural(running, 'stage')} running on this server
        </span>
      </CardHeader>
      <p className="px-4 py-3">{EXPLANATIONS[state]}</p>
      {children}
    </Card>
  )
}

function DrainButton({ running }: { running: number }) {
  const [open, setOpen] = useState(false)
  const [grace, setGrace] = useState('')
  const drain = useDrain()
  const seconds = grace.trim() === '' ? null : Number(grace)
  const wrong = seconds !== null && !(seconds >= 0 && seconds <= LONGEST_GRACE)
  return (
    <>
      <Button size="small" variant="danger" onClick={() => setOpen(true)}>
        Drain…
      </Button>
      <ConfirmDialog
        open={open}
        onOpenChange={setOpen}
        title="Take no more work?"
        action="Drain the server"
        danger
        disabled={drain.isPending || wrong}
        error={drain.error}
        onConfirm={() => drain.mutate(seconds, { onSuccess: () => setOpen(false) })}
      >
        <p>
          {running === 0
            ? 'Nothing runs now. '
            : `${plural(running, 'stage')} running now may end. `}
          What still runs after the grace is told to stop and handed back, to be run again. New
          executions are accepted and wait.
        </p>
        <p>The server goes on to answer; it takes work again only after a restart.</p>
        <Field
          label="Grace in seconds"
          hint="Left empty: as the server was configured"
          error={wrong ? `Between 0 and ${LONGEST_GRACE.toLocaleString('en')}.` : undefined}
          optional
        >
          {(control) => (
            <Input
              {...control}
              inputMode="numeric"
              className="max-w-[140px]"
              value={grace}
              onChange={(event) => setGrace(event.target.value)}
            />
          )}
        </Field>
      </ConfirmDialog>
    </>
  )
}

const LONGEST_GRACE = 24 * 3600
