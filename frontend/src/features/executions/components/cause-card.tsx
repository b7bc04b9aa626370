import type { ReactNode } from 'react'
import { CopyButton } from '@/components/copy-button'
import { Icon } from '@/components/icon'
import { Prose } from '@/components/prose'
import { Card } from '@/components/ui/card'
import { errorAsText, failures, headline, nextFailure } from '@/features/executions/model/cause'
import { type FailedRule, failedRules } from '@/features/executions/model/check-report'
import { nearestTable } from '@/features/executions/model/inputs'
import type { Selection } from '@/features/executions/use-selection'
import type { Schemas } from '@/lib/api'
import { cn } from '@/lib/cn'
import { plural } from '@/lib/format'

type CauseCardProps = {
  execution: Schemas['ExecutionDetail']
  run: Schemas['StageRunBody']
  selection: Selection
  /** Below all that is known. */
  children?: ReactNode
}

/** Why it failed: a plain sentence, the exact error, where it is, and ways to look closer. */
export function CauseCard({ execution, run, selection, children }: CauseCardProps) {
  const { error } = run
  if (!error) return null
  const row = error.location?.row
  const readable = row != null && nearestTable(execution.stages, run, row) !== null
  const rules = failedRules(error.details)
  const count = failures(execution.stages).length
  const next = nextFailure(execution.stages, selection.run)
  return (
    <Card
      aria-labelledby="cause"
      className={cn(
        'mb-3.5 border-[color-mix(in_srgb,var(--color-state-failed)_40%,var(--color-border))]',
        rules.length > 0 &&
          'grid grid-cols-[minmax(0,1.5fr)_minmax(0,1fr)] max-tablet:grid-cols-[minmax(0,1fr)]',
      )}
    >
      <div className="px-4 py-3">
        <h2 id="cause" className="flex items-center gap-2 text-strong font-semibold">
          <Icon name="cross" className="text-state-failed" />
          <span>
            Stage <span className="mono text-[13.5px]">{run.name}</span>{' '}
            {headline(error, run.started_at !== null)}
          </span>
        </h2>
        <p className="mono wrap-text my-2 rounded-md bg-state-failed-tint px-3 py-2 text-[12.5px] text-state-failed">
          {error.message}
        </p>
        <Whereabouts location={error.location} />
        {error.suggestion && (
          <p className="mb-2 flex gap-1.5">
            <b className="font-semibold whitespace-nowrap">To do:</b>
            <span>
              <Prose text={error.suggestion} />
            </span>
          </p>
        )}
        <div className="flex flex-wrap items-center gap-x-3.5 gap-y-1 text-small">
          {row != null && readable && (
            <TextButton onClick={() => selection.showRow(run, row)}>
              Row {row} in the input
            </TextButton>
          )}
          <TextButton onClick={() => selection.showLogs(run)}>Log of {run.name}</TextButton>
          {count > 1 && next && (
            <TextButton onClick={() => selection.showLogs(next)}>
              Next of {count} failures <kbd className="mono text-muted-foreground">F</kbd>
            </TextButton>
          )}
          <CopyButton
            label="Copy error"
            text={errorAsText(`${execution.pipeline_name} #${execution.number}`, run.name, error)}
          />
        </div>
        {error.traceback && (
          <details className="mt-2">
            <summary className="text-small text-secondary-foreground">Traceback</summary>
            <pre className="mono mt-2 max-h-[280px] overflow-auto rounded-md bg-muted p-3 text-small">
              {error.traceback}
            </pre>
          </details>
        )}
        {children}
      </div>
      {rules.length > 0 && <FailedRules rules={rules} />}
    </Card>
  )
}

const SHOWN_RULES = 4
const SHOWN_SAMPLES = 3

/** Which checks refused rows, and the first of those rows. */
function FailedRules({ rules }: { rules: FailedRule[] }) {
  return (
    <div className="min-w-0 border-l border-border-soft px-4 py-3 max-tablet:border-t max-tablet:border-l-0">
      <h3 className="mb-1.5 font-semibold">Refused rows</h3>
      <ul className="flex flex-col gap-1.5 text-small">
        {rules.slice(0, SHOWN_RULES).map(({ rule, column, failed, samples }) => (
          <li key={`${rule}:${column}`}>
            <span className="mono font-medium">{column}</span> {rule.replaceAll('_', ' ')}{' '}
            <span className="text-muted-foreground">{plural(failed, 'row')}</span>
            <span className="mono wrap-text block text-state-failed">
              {samples
                .slice(0, SHOWN_SAMPLES)
                .map(({ row, value }) => `row ${row}: ${value}`)
                .join(', ')}
            </span>
          </li>
        ))}
      </ul>
      {rules.length > SHOWN_RULES && (
        <p className="mt-1.5 text-small text-muted-foreground">
          and {plural(rules.length - SHOWN_RULES, 'more rule')}
        </p>
      )}
    </div>
  )
}

type Location = Schemas['LocationBody']

function Whereabouts({ location }: { location: Location | null | undefined }) {
  if (!location) return null
  const facts: [string, ReactNode][] = []
  if (location.file)
    facts.push(['file', location.line ? `${location.file}:${location.line}` : location.file])
  if (location.row) facts.push(['row', location.row])
  if (location.column) facts.push(['column', location.column])
  if (location.value !== undefined && location.value !== null) facts.push(['value', location.value])
  if (facts.length === 0) return null
  return (
    <dl className="mb-2 flex flex-wrap gap-x-4 gap-y-1 text-small">
      {facts.map(([name, value]) => (
        <div key={name} className="flex min-w-0 gap-1.5">
          <dt className="text-muted-foreground">{name}</dt>
          <dd className="mono wrap-text">{value}</dd>
        </div>
      ))}
    </dl>
  )
}

function TextButton({ onClick, children }: { onClick: () => void; children: ReactNode }) {
  return (
    <button type="button" onClick={onClick} className="py-1 text-link hover:underline">
      {children}
    </button>
  )
}
