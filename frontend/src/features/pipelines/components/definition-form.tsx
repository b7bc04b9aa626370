import { useQuery } from '@tanstack/react-query'
import { type ReactNode, useMemo, useRef } from 'react'
import { ErrorPanel, InlineError } from '@/components/feedback'
import { Icon } from '@/components/icon'
import { StageGraph } from '@/components/stage-graph/stage-graph'
import { Card, CardHeader } from '@/components/ui/card'
import { validationQuery } from '@/features/pipelines/api'
import { countProblems, ProblemList } from '@/features/pipelines/components/problem-list'
import {
  SourceEditor,
  type SourceEditorHandle,
} from '@/features/pipelines/components/source-editor'
import { outlineNodes } from '@/features/pipelines/outline'
import { useDebounced } from '@/hooks/use-debounced'
import { plural } from '@/lib/format'

const VALIDATE_AFTER_MS = 300

type DefinitionFormProps = {
  title: string
  source: string
  onChange: (source: string) => void
  /** What the last attempt to save was refused for. */
  refusal?: ReactNode
  /** `valid` is null while the server has not judged this very text. */
  actions: (valid: boolean | null) => ReactNode
}

/** The text of a definition, what the server thinks of it, and the graph it makes. */
export function DefinitionForm({ title, source, onChange, refusal, actions }: DefinitionFormProps) {
  const settled = useDebounced(source, VALIDATE_AFTER_MS)
  const validation = useQuery(validationQuery(settled))
  const editor = useRef<SourceEditorHandle>(null)
  const report = source.trim() === '' ? undefined : validation.data
  const current = settled === source && !validation.isPlaceholderData && report !== undefined
  const problems = report?.problems ?? []
  const nodes = useMemo(() => outlineNodes(report?.stages ?? []), [report?.stages])

  return (
    <div className="grid grid-cols-[minmax(0,1.3fr)_minmax(0,1fr)] items-start gap-3.5 max-desktop:grid-cols-[minmax(0,1fr)]">
      <Card className="overflow-hidden">
        <CardHeader title={title} end={actions(current ? report.valid : null)}>
          <span className="text-small text-muted-foreground">YAML or JSON</span>
        </CardHeader>
        {refusal && (
          <div className="border-b border-border-soft px-4 py-2.5">
            <InlineError>{refusal}</InlineError>
          </div>
        )}
        <SourceEditor
          ref={editor}
          label={title}
          value={source}
          onChange={onChange}
          problems={problems}
        />
      </Card>
      <div className="flex min-w-0 flex-col gap-3.5">
        <Card>
          <CardHeader title="Check" />
          <div role="status">
            {validation.error ? (
              <ErrorPanel
                error={validation.error}
                what="The check"
                onRetry={() => void validation.refetch()}
              />
            ) : (
              <p className="flex items-center gap-2 px-4 py-2.5">
                <Verdict
                  text={source}
                  current={current}
                  valid={report?.valid ?? false}
                  found={countProblems(problems)}
                  stages={report?.stages.length ?? 0}
                />
              </p>
            )}
          </div>
          {problems.length > 0 && (
            <div className="border-t border-border-soft">
              <ProblemList
                problems={problems}
                onGoTo={(line, column) => editor.current?.goTo(line, column)}
              />
            </div>
          )}
        </Card>
        {nodes.length > 0 && <StageGraph nodes={nodes} />}
      </div>
    </div>
  )
}

type VerdictProps = {
  text: string
  current: boolean
  valid: boolean
  found: string
  stages: number
}

function Verdict({ text, current, valid, found, stages }: VerdictProps) {
  if (text.trim() === '') return <>Paste or write a definition.</>
  if (!current) return <span className="text-muted-foreground">Checking…</span>
  return valid ? (
    <>
      <Icon name="tick" className="text-state-success" />
      Valid, {plural(stages, 'stage')}
      {found && `, ${found}`}
    </>
  ) : (
    <>
      <Icon name="cross" className="text-state-failed" />
      {found || 'Not valid'}
    </>
  )
}
