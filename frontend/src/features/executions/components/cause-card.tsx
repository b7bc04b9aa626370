import type { ReactNode } from 'react'
import { CopyButton } from '@/components/copy-button'
import { Icon } from '@/components/icon'
import { Card } from '@/components/ui/card'
import { errorAsText, headline } from '@/features/executions/model/cause'
import type { Selection } from '@/features/executions/use-selection'
import type { Schemas } from '@/lib/api'

type CauseCardProps = {
  execution: Schemas['ExecutionDetail']
  run: Schemas['StageRunBody']
  selection: Selection
}

/** Why it failed: a plain sentence, the exact error, where it is, and ways to look closer. */
export function CauseCard({ execution, run, selection }: CauseCardProps) {
  const { error } = run
  if (!error) return null
  const row = error.location?.row
  return (
    <Card
      aria-labelledby="cause"
      className="mb-3.5 border-[color-mix(in_srgb,var(--color-state-failed)_40%,var(--color-border))] px-4 py-3"
    >
      <h2 id="cause" className="flex items-center gap-2 text-strong font-semibold">
        <Icon name="cross" className="text-state-failed" />
        <span>
          Stage <span className="mono text-[13.5px]">{run.name}</span> {headline(error)}
        </span>
      </h2>
      <p className="mono wrap-text my-2 rounded-md bg-state-failed-tint px-3 py-2 text-[12.5px] text-state-failed">
        {error.message}
      </p>
      <Whereabouts location={error.location} />
      {error.suggestion && (
        <p className="mb-2 flex gap-1.5">
          <b className="font-semibold whitespace-nowrap">To do:</b> {error.suggestion}
        </p>
      )}
      <div className="flex flex-wrap items-center gap-x-3.5 gap-y-1 text-small">
        {row && (
          <TextButton onClick={() => selection.showRow(run, row)}>
            Row {row} in the input
          </TextButton>
        )}
        <TextButton onClick={() => selection.showLogs(run)}>Log of {run.name}</TextButton>
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
    </Card>
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
