import { Link } from 'react-router'
import { StateBadge } from '@/components/state-badge'
import type { Schemas } from '@/lib/api'

type StartedExecutionProps = { id: string; runs: readonly Schemas['RunBar'][] }

/** The execution that was started: with its number and state while it is among the latest, `runs`. */
export function StartedExecution({ id, runs }: StartedExecutionProps) {
  const run = runs.find((each) => each.id === id)
  return (
    <span className="inline-flex flex-wrap items-center gap-1.5">
      <Link to={`/executions/${id}`} className="font-semibold text-link hover:underline">
        {run ? `#${run.number}` : 'Execution'}
      </Link>
      {run && <StateBadge status={run.status} />}
    </span>
  )
}
