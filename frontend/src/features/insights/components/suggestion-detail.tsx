import { useQuery } from '@tanstack/react-query'
import { type ReactNode, useState } from 'react'
import { Link } from 'react-router'
import { DiffBlock } from '@/components/diff-block'
import { ErrorPanel } from '@/components/feedback'
import { Icon } from '@/components/icon'
import { Prose } from '@/components/prose'
import { Button } from '@/components/ui/button'
import { Card, CardHeader } from '@/components/ui/card'
import { ConfirmDialog } from '@/components/ui/confirm-dialog'
import { SkeletonRows } from '@/components/ui/skeleton'
import {
  type SuggestionDetail as Suggestion,
  suggestionQuery,
  useChangeSuggestion,
} from '@/features/insights/api'
import { ReplayBars } from '@/features/insights/components/replay-bars'
import { formatConfidence } from '@/features/insights/model/words'
import { formatMoment, plural } from '@/lib/format'
import { useHasRole } from '@/store/session'

/** What would change, what that rests on, and the way to do it or to take it back. */
export function SuggestionDetail({ id, back }: { id: string; back: ReactNode }) {
  const suggestion = useQuery(suggestionQuery(id))
  return (
    <Card aria-label="The suggestion">
      <CardHeader
        title={
          <span className="flex items-start gap-2 text-[14px]">
            <Icon name="spark" className="mt-0.5 text-insight" />
            <span className="wrap-text">{suggestion.data?.title ?? 'Suggestion'}</span>
          </span>
        }
      />
      {back}
      {suggestion.isPending && <SkeletonRows rows={8} label="Loading the suggestion" />}
      {suggestion.error && !suggestion.data && (
        <ErrorPanel
          error={suggestion.error}
          what="The suggestion"
          onRetry={() => void suggestion.refetch()}
        />
      )}
      {suggestion.data && <Loaded suggestion={suggestion.data} />}
    </Card>
  )
}

function Loaded({ suggestion }: { suggestion: Suggestion }) {
  return (
    <div className="flex flex-col gap-3.5 px-4 py-3.5">
      <p>
        <Prose text={suggestion.text} />{' '}
        <Link
          to={`/pipelines/${suggestion.pipeline_id}`}
          className="whitespace-nowrap text-link underline"
        >
          Open {suggestion.pipeline_name}
        </Link>
      </p>
      <p className="text-small text-secondary-foreground">
        From {plural(suggestion.executions, 'run')}; {formatConfidence(suggestion.confidence)} sure.
      </p>
      {suggestion.call && (
        <pre className="wrap-text rounded-md bg-muted px-2.5 py-1.5 font-mono text-small">
          {suggestion.call.method} {suggestion.call.path} {JSON.stringify(suggestion.call.body)}
        </pre>
      )}
      {suggestion.replay && <ReplayBars replay={suggestion.replay} saving={suggestion.saving} />}
      {suggestion.diff && (
        <div>
          <h3 className="mb-1.5 font-semibold">
            The change{' '}
            {suggestion.base_version !== null && (
              <span className="font-normal text-muted-foreground">
                of version {suggestion.base_version}
              </span>
            )}
          </h3>
          <DiffBlock diff={suggestion.diff} />
        </div>
      )}
      <History suggestion={suggestion} />
      <Actions suggestion={suggestion} />
    </div>
  )
}

/** What became of it so far. */
function History({ suggestion }: { suggestion: Suggestion }) {
  const { state, changed_at, changed_by, reason, outcome } = suggestion
  if (state === 'open') return null
  return (
    <div className="text-small text-secondary-foreground">
      <p>
        {WHAT_BECAME[state]} <Carrier suggestion={suggestion} />
        {changed_by && `by ${changed_by} `}
        on {formatMoment(changed_at)}
        {reason && `: ${reason}`}
      </p>
      {outcome && <p className="mt-1 font-medium">{outcome.text ?? outcome.note}</p>}
    </div>
  )
}

const WHAT_BECAME: Record<Exclude<Suggestion['state'], 'open'>, string> = {
  draft: 'It waits as',
  applied: 'It was applied as',
  undone: 'It was undone as',
  dismissed: 'It was dismissed',
  gone: 'History speaks for it no longer,',
}

/** The version or draft that carries it, with the way there. */
function Carrier({ suggestion }: { suggestion: Suggestion }) {
  const { state, pipeline_id, version_undone, version_applied } = suggestion
  const version = state === 'undone' ? version_undone : version_applied
  if (version === null || state === 'dismissed' || state === 'gone') return null
  return (
    <>
      <Link
        to={`/pipelines/${pipeline_id}?tab=versions&version=${version}`}
        className="whitespace-nowrap text-link underline"
      >
        {state === 'draft' ? `draft ${version}` : `version ${version}`}
      </Link>
      {state === 'draft' ? ', made ' : ' '}
    </>
  )
}

function Actions({ suggestion }: { suggestion: Suggestion }) {
  const change = useChangeSuggestion(suggestion)
  const [dismissing, setDismissing] = useState(false)
  const mayEdit = useHasRole('editor')
  const { state, base_version, version_applied, why_not } = suggestion
  const draft = state === 'draft' ? version_applied : null
  const carried = draft !== null || state === 'applied'
  if (!mayEdit) {
    return <p className="text-small text-muted-foreground">An editor can apply it.</p>
  }
  return (
    <>
      {why_not && <p className="text-small text-secondary-foreground">{why_not}</p>}
      <div className="flex flex-wrap gap-2">
        {!carried && why_not === null && base_version !== null && (
          <Button
            variant="primary"
            disabled={change.isPending}
            onClick={() => change.mutate({ change: 'apply' })}
          >
            Apply as draft
          </Button>
        )}
        {draft !== null && why_not === null && (
          <Button
            variant="primary"
            disabled={change.isPending}
            onClick={() => change.mutate({ change: 'publish', draft })}
          >
            Publish draft {draft}
          </Button>
        )}
        {carried && (
          <Button disabled={change.isPending} onClick={() => change.mutate({ change: 'undo' })}>
            <Icon name="retry" />
            {draft === null ? 'Undo' : 'Undo, discard the draft'}
          </Button>
        )}
        {state === 'open' && (
          <Button variant="ghost" onClick={() => setDismissing(true)}>
            Dismiss…
          </Button>
        )}
      </div>
      {(state === 'open' || draft !== null) && why_not === null && (
        <p className="border-t border-border-soft pt-2.5 text-small text-muted-foreground">
          Nothing runs a draft before it is published. From then on the next 20 runs are compared
          with those before, and one click takes it back.
        </p>
      )}
      <Dismissal
        open={dismissing}
        onClose={() => setDismissing(false)}
        onDismiss={(reason) => change.mutate({ change: 'dismiss', reason })}
      />
    </>
  )
}

type DismissalProps = { open: boolean; onClose: () => void; onDismiss: (reason: string) => void }

const LONGEST_REASON = 500

function Dismissal({ open, onClose, onDismiss }: DismissalProps) {
  const [reason, setReason] = useState('')
  return (
    <ConfirmDialog
      open={open}
      onOpenChange={onClose}
      title="Dismiss the suggestion?"
      action="Dismiss it"
      onConfirm={() => {
        onDismiss(reason.trim())
        onClose()
      }}
    >
      <p className="text-secondary-foreground">
        It does not come back by itself. You find it under Dismissed.
      </p>
      <label className="flex flex-col gap-1.5 font-medium">
        Why (kept with it)
        <textarea
          value={reason}
          maxLength={LONGEST_REASON}
          rows={3}
          onChange={(event) => setReason(event.target.value)}
          className="rounded-md border border-input bg-card px-2.5 py-1.5 font-normal"
        />
      </label>
    </ConfirmDialog>
  )
}
