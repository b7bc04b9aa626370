import { useQuery } from '@tanstack/react-query'
import { Link } from 'react-router'
import { Icon } from '@/components/icon'
import { Card } from '@/components/ui/card'
import { ExecutionLink } from '@/features/executions/components/execution-link'
import { explanationQuery } from '@/features/insights/api'
import type { Schemas } from '@/lib/api'
import { formatChance, formatMoment, plural } from '@/lib/format'

const SHOWN_CAUSES = 3
const SHOWN_EXECUTIONS = 4

/**
 * Likely causes of a failure with the evidence for each, from the executions around it. Of one that
 * failed with another execution they are those of the other, and `lead` says so.
 */
export function ExplanationCard({ executionId, lead }: { executionId: string; lead?: string }) {
  const { data } = useQuery(explanationQuery(executionId))
  // Silent while it is not known, and where nobody learns: the cause itself is shown above.
  if (!data?.learns) return null
  if (data.failed_with) {
    return <ExplanationCard executionId={data.failed_with} lead={data.note ?? lead} />
  }
  const known = data.causes.filter(({ kind }) => kind !== 'unknown').slice(0, SHOWN_CAUSES)
  if (known.length === 0 && !data.note && data.suggestions.length === 0) return null
  return (
    <Card
      aria-labelledby="likely-cause"
      className="mb-3.5 border-[color-mix(in_srgb,var(--color-insight)_30%,var(--color-border))] px-4 py-3"
    >
      <h2 id="likely-cause" className="flex flex-wrap items-center gap-2 text-strong font-semibold">
        <Icon name="spark" className="text-insight" />
        {heading(known.length, data.compared)}
        {data.compared > 0 && (
          <span className="text-small font-normal text-muted-foreground">
            compared with {plural(data.compared, 'execution')} that passed
          </span>
        )}
      </h2>
      {lead && (
        <p className="mt-1.5 text-small text-secondary-foreground">
          {lead} See <ExecutionLink id={executionId} />.
        </p>
      )}
      {known.length > 0 && (
        <ol className="mt-2 flex flex-col gap-1.5">
          {known.map((cause) => (
            <Cause key={`${cause.kind} ${cause.text}`} cause={cause} />
          ))}
        </ol>
      )}
      {data.note && <p className="mt-1.5 text-small text-secondary-foreground">{data.note}</p>}
      {data.seen_before && data.seen_before.count > 1 && (
        <p className="mt-1.5 text-small text-muted-foreground">
          The same error was seen in {plural(data.seen_before.count, 'execution')} since{' '}
          {formatMoment(data.seen_before.first_at)}.
        </p>
      )}
      {data.suggestions.map(({ id, title }) => (
        <p key={id} className="mt-1.5 text-small">
          <b className="font-semibold">Suggested:</b>{' '}
          <Link to={`/insights?id=${encodeURIComponent(id)}`} className="text-link underline">
            {title}
          </Link>
        </p>
      ))}
    </Card>
  )
}

function heading(known: number, compared: number): string {
  if (known > 0) return 'Likely cause'
  return compared > 0 ? 'No likely cause found' : 'No likely cause yet'
}

function Cause({ cause }: { cause: Schemas['CauseBody'] }) {
  const shown = cause.executions.slice(0, SHOWN_EXECUTIONS)
  return (
    <li className="grid grid-cols-[44px_minmax(0,1fr)] gap-x-2.5">
      <span className="text-right font-semibold text-insight">
        {formatChance(cause.probability)}
      </span>
      <span>
        {cause.text}
        {shown.length > 0 && (
          <span className="text-small text-muted-foreground">
            {' '}
            see{' '}
            {shown.map((id) => (
              <span key={id} className="mr-1.5">
                <ExecutionLink id={id} />
              </span>
            ))}
          </span>
        )}
      </span>
    </li>
  )
}
