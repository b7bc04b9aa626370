import { Link } from 'react-router'
import { StateBadge } from '@/components/state-badge'
import type { Firing } from '@/features/triggers/api'
import type { Schemas } from '@/lib/api'

type StartedExecutionProps = {
  firing: Firing
  /** The pipeline's latest executions: they say first how theirs goes. */
  runs: readonly Schemas['RunBar'][]
}

/** The execution that an instant has started, and how it goes; nothing where it started none. */
export function StartedExecution({ firing, runs }: StartedExecutionProps) {
  const { execution_id: id, execution_number, execution_status } = firing
  if (id === null) return null
  const run = runs.find((each) => each.id === id)
  const number = run?.number ?? execution_number
  const status = run?.status ?? execution_status
  if (number === null) return <span className="text-muted-foreground">no longer kept</span>
  return (
    <span className="inline-flex flex-wrap items-center gap-1.5">
      <Link to={`/executions/${id}`} className="font-semibold text-link hover:underline">
        #{number}
      </Link>
      {status && <StateBadge status={status} />}
    </span>
  )
}
